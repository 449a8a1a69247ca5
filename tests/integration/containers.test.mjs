// SPDX-License-Identifier: Apache-2.0
// deploy/docker and deploy/kubernetes as far as that goes without a container: their files are whole
// and agree with each other and with the program. What stands in them is run by itself: the
// configurations, HAProxy's, the image's health check, and what makes the Redis Cluster.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { Program, run, temporaryFolder } from "./support/process.mjs";
import { freePort } from "./support/redis.mjs";
import { Node, SECRETS, WEIR, configuration } from "./support/weir.mjs";

const DOCKER = "deploy/docker";
const KUBERNETES = "deploy/kubernetes";
const read = (path) => readFileSync(path, "utf8");
const yaml = (path) =>
    parseAllDocuments(read(path), { merge: true }).map((document) => {
        assert.deepEqual([...document.errors, ...document.warnings], [], path);
        return document.toJS();
    });

/** The Dockerfile's instructions: [[name, rest], ...]; those of its last stage are what runs. */
const instructions = read(`${DOCKER}/Dockerfile`)
    .replace(/^#.*\n/gm, "")
    .replace(/\\\n\s*/g, "")
    .trim()
    .split(/\n+/)
    .map((line) => line.match(/^(\w+) (.*)$/).slice(1));
const stages = instructions.flatMap(([name], i) => (name === "FROM" ? [i] : []));
const image = Object.fromEntries(instructions.slice(stages.at(-1)));
const packages = image.RUN.match(/install -y --no-install-recommends (.*?) &&/)[1].split(/\s+/);

const drainMs = Number(
    read("docs/configuration.md").match(/^\| `drain_timeout_ms` .*$/m)[0].split("|")[4],
);
const version = read("CMakeLists.txt").match(/VERSION (\d+\.\d+\.\d+) /)[1];
const [compose] = yaml(`${DOCKER}/compose.yaml`);
const services = Object.entries(compose.services);
const nodes = services.filter(([name]) => /^node\d+$/.test(name)).map(([, one]) => one);
const redis = services.filter(([name]) => /^redis\d+$/.test(name));
const addressOf = (one) => one.networks.default.ipv4_address;
const objects = ["namespace.yaml", "redis.yaml", "nodes.yaml", "secret.example.yaml"].flatMap(
    (name) => yaml(join(KUBERNETES, name)),
);
const object = (kind, name) =>
    objects.find((one) => one.kind === kind && one.metadata.name === name);
const [kustomization] = yaml(`${KUBERNETES}/kustomization.yaml`);

/** Whose the library is. */
const OWNER = 'dpkg -S "$1" || dpkg -S "$(realpath "$1")"';

/** The variables that a configuration takes its secrets from. */
const variables = (path) =>
    [...read(path).matchAll(/^[^#\n]*\{env: (\w+)\}/gm)].map(([, name]) => name);
const seeds = (path) =>
    read(path)
        .match(/^store: redis\+cluster:\/\/(.*)$/m)[1]
        .split(",");
const nodesOf = (path) => Number(read(path).match(/^nodes: (\d+)/m)[1]);

/** A program that may be missing: why the test is left out, or false. */
async function without(program, ...args) {
    const { code } = await run(program, args);
    return code !== 0 && `no ${program} that works here`;
}

describe("the image", () => {
    it("is built from files that are there, and that its context has", () => {
        const ignored = read(".dockerignore").split("\n");
        assert.ok(ignored.includes("*"));
        const sources = instructions
            .filter(([name, rest]) => name === "COPY" && !rest.startsWith("--from"))
            .flatMap(([, rest]) => rest.split(" ").slice(0, -1));
        assert.deepEqual(sources, ["scripts/install-deps", "scripts/tokens", "."]);
        const kept = ignored.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
        for (const path of [...sources, ...kept]) {
            assert.ok(existsSync(path), path);
        }
        const cmake = ["CMakeLists.txt", "src/CMakeLists.txt", "tests/CMakeLists.txt"]
            .map(read)
            .join("\n")
            .replace(/#.*$/gm, "");
        const named = cmake.match(/\b(docs|deploy|scripts|cmake|bench)\/[\w/.-]+/g);
        assert.ok(named.length >= 4);
        for (const path of ["CMakePresets.json", "src", "tests", ...named]) {
            assert.ok(
                kept.some((one) => path === one || path.startsWith(`${one}/`)),
                `${path} is not in the context`,
            );
        }
    });

    it("is built with what the scripts know", async () => {
        const commands = instructions.filter(([name]) => name === "RUN").map(([, rest]) => rest);
        assert.equal(commands[0], "scripts/install-deps run");
        const deb = read("scripts/deb"); // the same build, and installed in the same way
        assert.match(commands[1], /--preset release --target token_data /);
        assert.match(deb, /^build_preset release token_data$/m);
        assert.match(commands[1], /cmake --install build\/release --prefix \/out --strip$/);
        assert.match(deb, /^cmake --install build\/release --prefix .* --strip/m);
    });

    it("has the libraries that the program needs, and no other", async (t) => {
        if (!/^VERSION_ID="12"$/m.test(read("/etc/os-release"))) {
            t.skip("the image's Debian is 12, and names libraries as it does");
            return;
        }
        if (!WEIR.includes("/release/")) {
            t.skip("it has the release build");
            return;
        }
        const needs = await run("readelf", ["-d", WEIR]);
        const names = [...needs.output.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name);
        const linked = await run("ldd", [WEIR]);
        const owners = new Set();
        for (const name of names) {
            const line = linked.output.split("\n").find((one) => one.trim().startsWith(`${name} =>`));
            const path = line.trim().split(" ")[2];
            // Debian knows a file by its place before /lib was merged with /usr/lib, or after.
            const found = await run("sh", ["-c", OWNER, "sh", path]);
            owners.add(found.output.match(/^([\w.+-]+)(?::\w+)?: \//m)[1]);
        }
        assert.ok(owners.delete("libc6")); // each image has that
        assert.deepEqual(packages.sort(), [...owners, "ca-certificates"].sort());
    });

    it("has a health check that tells a node from none", async (t) => {
        const check = JSON.parse(image.HEALTHCHECK.match(/ CMD (.*)$/)[1]);
        const [, , script] = check;
        const port = image.EXPOSE;
        assert.equal(script.split(`/127.0.0.1/${port} `).length, 2);
        const node = await Node.start();
        t.after(() => node.program.end("SIGKILL"));
        const here = script.replace(`/${port} `, `/${node.port} `);
        const at = (path) => ["-c", here.replace("/healthz", path)];
        assert.deepEqual(check.slice(0, 2), ["bash", "-c"]);
        assert.deepEqual(await run("bash", at("/healthz")), { code: 0, output: "" });
        assert.equal((await run("bash", at("/nowhere"))).code, 1);
        await node.stop();
        assert.equal((await run("bash", at("/healthz"))).code, 1);
    });

    it("runs nothing as root, and serves on its port", () => {
        assert.match(image.USER, /^[1-9]\d+:[1-9]\d+$/);
        assert.equal(image.STOPSIGNAL, "SIGTERM");
        const command = [...JSON.parse(image.ENTRYPOINT), ...JSON.parse(image.CMD)];
        assert.deepEqual(command.slice(0, 4), ["weir", "serve", "--config", "/etc/weir/weir.yaml"]);
        assert.deepEqual(command.slice(4), ["--listen", `0.0.0.0:${image.EXPOSE}`]);
    });

    it("is taken by docker", async (t) => {
        const why = await without("docker", "version");
        if (why) {
            t.skip(why);
            return;
        }
        const args = ["build", "--check", "-f", `${DOCKER}/Dockerfile`, "."];
        const { code, output } = await run("docker", args);
        assert.equal(code, 0, output);
    });
});

describe("the configurations", () => {
    for (const path of [`${DOCKER}/weir.yaml`, `${KUBERNETES}/weir.yaml`]) {
        it(`are what weir takes: ${path}`, async () => {
            const env = Object.fromEntries(variables(path).map((name) => [name, "sk-some-secret"]));
            const { code, output } = await run(WEIR, ["check-config", path], env);
            assert.equal(code, 0, output);
            assert.ok(variables(path).length >= 2);
        });
    }

    it("leave the end of requests to the default, which the stop times are longer than", () => {
        for (const path of [`${DOCKER}/weir.yaml`, `${KUBERNETES}/weir.yaml`]) {
            assert.doesNotMatch(read(path), /drain_timeout_ms|^listen:/m);
        }
        const { spec } = object("Deployment", "weir").spec.template;
        const [, wait] = spec.containers[0].lifecycle.preStop.exec.command;
        assert.ok(spec.terminationGracePeriodSeconds * 1000 > Number(wait) * 1000 + drainMs);
        for (const node of nodes) {
            assert.ok(Number(node.stop_grace_period.match(/^(\d+)s$/)[1]) * 1000 > drainMs);
        }
    });
});

describe("compose.yaml", () => {
    it("has files that are there, and the image of this version", () => {
        for (const [name, { volumes = [], build }] of services) {
            for (const volume of volumes.filter((text) => text.startsWith("."))) {
                assert.ok(existsSync(join(DOCKER, volume.split(":")[0])), `${name}: ${volume}`);
            }
            if (build !== undefined) {
                assert.ok(existsSync(join(DOCKER, build.context, build.dockerfile)), name);
            }
        }
        for (const node of nodes) {
            assert.equal(node.image, `weir:${version}`);
            assert.ok(node.volumes.includes("./weir.yaml:/etc/weir/weir.yaml:ro"));
        }
    });

    it("has as many nodes as weir.yaml says, with the secrets that it names", () => {
        assert.equal(nodes.length, nodesOf(`${DOCKER}/weir.yaml`));
        for (const { environment } of nodes) {
            assert.deepEqual(Object.keys(environment), variables(`${DOCKER}/weir.yaml`));
        }
    });

    it("gives each container in its subnet an address of its own", () => {
        const [{ subnet }] = compose.networks.default.ipam.config;
        const all = [...nodes, ...redis.map(([, one]) => one)].map(addressOf);
        assert.equal(new Set(all).size, all.length);
        for (const address of all) {
            assert.equal(address.replace(/\d+$/, "0/24"), subnet);
        }
    });

    it("makes a cluster of all its Redis servers, which weir.yaml knows", () => {
        const names = redis.map(([name]) => name);
        const [shell, script, replicas, ...asked] = compose.services["redis-cluster"].command;
        assert.deepEqual([shell, replicas, asked], ["sh", "1", names]);
        assert.ok(compose.services["redis-cluster"].volumes[0].endsWith(`:${script}:ro`));
        assert.deepEqual(seeds(`${DOCKER}/weir.yaml`), names.slice(0, 3));
    });

    it("runs HAProxy as deploy/haproxy has it, before these nodes", async () => {
        const { environment: env, ports, volumes } = compose.services.haproxy;
        assert.deepEqual(volumes, ["../haproxy/weir.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]);
        const path = "deploy/haproxy/weir.cfg";
        const named = [...read(path).matchAll(/^ +presetenv (\w+) /gm)].map(([, name]) => name);
        assert.deepEqual(Object.keys(env), named);
        const [entry, ...servers] = Object.values(env);
        assert.deepEqual(
            servers,
            nodes.map((node) => `${addressOf(node)}:${image.EXPOSE}`),
        );
        assert.equal(ports[0].split(":").at(-1), entry.split(":").at(-1));
        const { code, output } = await run("haproxy", ["-c", "-f", path], env);
        assert.equal(code, 0, output);
        const wrong = { ...env, WEIR_NODE1: "10.0.0.1:no-port" }; // it reads them
        assert.notEqual((await run("haproxy", ["-c", "-f", path], wrong)).code, 0);
    });

    it("is taken by docker compose", async (t) => {
        const why = await without("docker", "compose", "version");
        if (why) {
            t.skip(why);
            return;
        }
        const env = { WEIR_SERVICE_TOKEN: "token", WEIR_KEY_DEMO: "key" };
        const args = ["compose", "-f", `${DOCKER}/compose.yaml`, "config", "-q"];
        const { code, output } = await run("docker", args, env);
        assert.equal(code, 0, output);
    });
});

describe("the manifests for Kubernetes", () => {
    const weir = object("Deployment", "weir").spec;
    const servers = object("StatefulSet", "redis").spec;
    const job = object("Job", "redis-cluster").spec;
    const pods = [weir, servers, job].map(({ template }) => template);

    it("are all applied but the example of a secret", () => {
        const kept = readdirSync(KUBERNETES).filter((name) => name.endsWith(".yaml"));
        const others = ["kustomization.yaml", "secret.example.yaml", "weir.yaml"];
        assert.deepEqual([...kustomization.resources, ...others].sort(), kept.sort());
        const files = kustomization.configMapGenerator.flatMap((one) => one.files);
        assert.deepEqual(files.sort(), ["redis-cluster.sh", "redis.conf", "weir.yaml"]);
        for (const path of files) {
            assert.ok(existsSync(join(KUBERNETES, path)), path);
        }
        assert.equal(kustomization.images[0].name, weir.template.spec.containers[0].image);
        assert.equal(kustomization.images[0].newTag, version);
        assert.equal(kustomization.namespace, object("Namespace", "weir").metadata.name);
    });

    it("mount what is there, where the programs look", () => {
        const maps = kustomization.configMapGenerator;
        for (const { spec } of pods) {
            const [container] = spec.containers;
            const claims = servers.volumeClaimTemplates.map((one) => one.metadata.name);
            for (const { name } of container.volumeMounts) {
                const volume = spec.volumes.find((one) => one.name === name);
                const map = maps.find((one) => one.name === volume?.configMap.name);
                assert.ok(map !== undefined || claims.includes(name), name);
            }
            const [{ mountPath }] = container.volumeMounts;
            for (const path of (container.command ?? []).filter((word) => word.startsWith("/"))) {
                assert.ok(existsSync(join(KUBERNETES, path.slice(mountPath.length))), path);
            }
        }
        assert.equal(weir.template.spec.containers[0].volumeMounts[0].mountPath, "/etc/weir");
        assert.equal(weir.template.spec.containers[0].command, undefined); // the image's
    });

    it("select the pods that there are, on ports that those have", () => {
        const labels = pods.map(({ metadata }) => metadata.labels);
        const has = (wanted) => labels.some((one) => one.app === wanted.app);
        const ports = pods.flatMap(({ spec }) => spec.containers[0].ports ?? []);
        const numbers = new Set([53, 443, ...ports.map((one) => one.containerPort)]);
        for (const one of objects) {
            const { selector, podSelector, ingress = [], egress = [] } = one.spec ?? {};
            const wanted = podSelector?.matchLabels ?? selector?.matchLabels ?? selector;
            assert.ok(wanted === undefined || has(wanted), `${one.kind} ${one.metadata.name}`);
            for (const rule of [...ingress, ...egress]) {
                for (const peer of [...(rule.from ?? []), ...(rule.to ?? [])]) {
                    assert.ok(peer.podSelector === undefined || has(peer.podSelector.matchLabels));
                }
                for (const { port } of rule.ports) {
                    assert.ok(numbers.has(port), `${one.metadata.name}: ${port}`);
                }
            }
        }
        const [http] = weir.template.spec.containers[0].ports;
        assert.equal(`${http.containerPort}`, image.EXPOSE);
        assert.equal(object("Service", "weir").spec.ports[0].targetPort, http.name);
        assert.equal(weir.template.metadata.annotations["prometheus.io/port"], image.EXPOSE);
    });

    it("let no pod do more than it has to", () => {
        const { labels } = object("Namespace", "weir").metadata;
        assert.equal(labels["pod-security.kubernetes.io/enforce"], "restricted");
        for (const { spec } of pods) {
            const { securityContext: pod, containers } = spec;
            assert.ok(pod.runAsNonRoot && pod.runAsUser > 0);
            assert.equal(pod.seccompProfile.type, "RuntimeDefault");
            assert.equal(spec.automountServiceAccountToken, false);
            for (const { securityContext: own } of containers) {
                assert.deepEqual(own, {
                    allowPrivilegeEscalation: false,
                    readOnlyRootFilesystem: true,
                    capabilities: { drop: ["ALL"] },
                });
            }
        }
        const { runAsUser, runAsGroup } = weir.template.spec.securityContext;
        assert.equal(`${runAsUser}:${runAsGroup}`, image.USER);
    });

    it("never have more nodes than weir.yaml says, and bring the secrets that it names", () => {
        const path = `${KUBERNETES}/weir.yaml`;
        assert.equal(weir.replicas, nodesOf(path));
        assert.equal(weir.strategy.rollingUpdate.maxSurge, 0);
        assert.deepEqual(Object.keys(object("Secret", "weir").stringData), variables(path));
        assert.equal(weir.template.spec.containers[0].envFrom[0].secretRef.name, "weir");
    });

    it("make a cluster of all Redis servers, which weir.yaml knows", () => {
        const all = Array.from({ length: servers.replicas }, (_, i) => i);
        const names = all.map((i) => `redis-${i}.${servers.serviceName}`);
        const [, , replicas, ...asked] = job.template.spec.containers[0].command;
        assert.deepEqual([replicas, asked], ["1", names]);
        assert.deepEqual(seeds(`${KUBERNETES}/weir.yaml`), names.slice(0, 3));
        assert.equal(object("Service", "redis").spec.clusterIP, "None");
    });

    it("ask routes that a node has", async () => {
        const { startupProbe, readinessProbe, livenessProbe } = weir.template.spec.containers[0];
        const probed = [startupProbe, readinessProbe, livenessProbe].map((one) => one.httpGet.path);
        const scraped = weir.template.metadata.annotations["prometheus.io/path"];
        const node = await Node.start();
        for (const path of [...probed, scraped]) {
            assert.equal((await node.ask("GET", path)).status, 200, path);
        }
        await node.stop();
    });

    it("are what kustomize takes", async (t) => {
        const why = await without("kubectl", "kustomize", "--help");
        if (why) {
            t.skip(why);
            return;
        }
        const { code, output } = await run("kubectl", ["kustomize", KUBERNETES]);
        assert.equal(code, 0, output);
        const built = parseAllDocuments(output).map((document) => document.toJS());
        const maps = built.filter(({ kind }) => kind === "ConfigMap");
        assert.equal(built.length, objects.length - 1 + maps.length);
        const config = maps.find(({ data }) => "weir.yaml" in data);
        assert.equal(config.data["weir.yaml"], read(`${KUBERNETES}/weir.yaml`));
        const deployment = built.find(({ kind }) => kind === "Deployment");
        const [{ configMap }] = deployment.spec.template.spec.volumes;
        assert.equal(configMap.name, config.metadata.name);
    });
});

describe("the Redis Cluster of both", () => {
    it("is made of servers that know nobody, and left as it is by the next time", async (t) => {
        const ports = await Promise.all([freePort(), freePort(), freePort()]);
        for (const port of ports) {
            const folder = temporaryFolder();
            const bus = await freePort();
            const server = new Program("redis-server", [
                `${KUBERNETES}/redis.conf`,
                ...["--bind", "127.0.0.1", "--port", `${port}`, "--cluster-port", `${bus}`],
                ...["--dir", folder.path],
            ]);
            t.after(async () => {
                await server.end("SIGKILL");
                folder.remove();
            });
            await server.says(/ready to accept connections/i);
        }
        const servers = ports.map((port) => `127.0.0.1:${port}`);
        const make = () => run("sh", [`${KUBERNETES}/redis-cluster.sh`, "0", ...servers]);
        const made = await make();
        assert.equal(made.code, 0, made.output);
        assert.match(made.output, /All 16384 slots covered/);
        const again = await make();
        assert.deepEqual(again, { code: 0, output: "redis-cluster: 3 servers are one cluster\n" });

        const store = `redis+cluster://${servers.join(",")}`;
        const node = await Node.start(configuration({ store, store_timeout_ms: 2000 }));
        assert.equal((await node.chat(SECRETS.a)).status, 200);
        await node.stop();
    });
});
