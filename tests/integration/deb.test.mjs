// SPDX-License-Identifier: Apache-2.0
// The Debian package: unpacked, not installed, so that the machine stays as it is. It holds the
// release build, whatever build the other tests are on: it is looked at beside that one only.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Program, run, temporaryFolder } from "./support/process.mjs";
import { WEIR } from "./support/weir.mjs";

if (WEIR.includes("/release/")) {
    describe("the Debian package", () => {
        let folder, root, weir;
        before(async () => {
            folder = temporaryFolder();
            root = join(folder.path, "root");
            weir = join(root, "usr/bin/weir");
            const built = await run("scripts/deb", [folder.path]);
            assert.equal(built.code, 0, built.output);
            const [deb] = built.output.match(/\S+\.deb$/m);
            assert.match(deb, /\/weir_\d+\.\d+\.\d+_[a-z0-9]+\.deb$/);
            assert.equal((await run("dpkg-deb", ["-R", deb, root])).code, 0);
        });
        after(() => folder.remove());

        const file = (path) => readFileSync(join(root, path), "utf8");

        it("has a program that finds its token data, and the configuration that it brings", async () => {
            const config = join(folder.path, "weir.yaml"); // its registry is the test's own
            const kept = file("etc/weir/weir.yaml").replace("/var/lib/weir/", `${folder.path}/`);
            assert.match(kept, new RegExp(`^registry: ${folder.path}/`, "m"));
            writeFileSync(config, kept);
            const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
            const node = new Program(weir, ["serve", "--config", config, ...ports]);
            const [, port] = await node.says(/listening on 127\.0\.0\.1:(\d+)/);
            const models = await fetch(`http://127.0.0.1:${port}/v1/models`);
            assert.equal(models.status, 401); // nobody has a key yet
            await models.text();
            assert.deepEqual(await node.end(), { code: 0, signal: null });
            assert.doesNotMatch(node.output, /estimate/);
        });

        it("starts what it installs, keeps what the user changed, and names its libraries", () => {
            const unit = file("usr/lib/systemd/system/weir.service");
            const [, program] = unit.match(/^ExecStart=(\S+) serve /m);
            const [, config] = unit.match(/^ExecStart=.* --config (\S+)$/m);
            assert.ok(file(program).length > 0);
            assert.match(file("usr/lib/systemd/system/weir.socket"), /^ListenStream=/m);
            assert.equal(file("DEBIAN/conffiles"), `${config}\n/etc/logrotate.d/weir\n`);
            assert.match(file("DEBIAN/control"), /^Depends: .*libc6 .*libuv1 /m);
        });

        it("has the documentation, and what its pages say to use", () => {
            const doc = (path) => file(join("usr/share/doc/weir", path));
            for (const page of ["docs/README.md", "docs/admin.md", "docs/operations.md"]) {
                const folder = dirname(page);
                const links = [...doc(page).matchAll(/\]\(([^)#:]+)/g)].map(([, path]) => path);
                assert.ok(links.length > 2, page);
                const here = links.filter((path) => /^[^.].*\.md$|^\.\.\/deploy\/(prometheus|grafana)/.test(path));
                here.forEach((path) => assert.ok(doc(join(folder, path)).length > 0, path));
            }
            assert.match(file("usr/lib/systemd/system/weir.service"), / file:\/usr\/share\/doc\/weir\//);
        });

        it("makes its unit's user, who alone reads the configuration beside root", () => {
            const unit = file("usr/lib/systemd/system/weir.service");
            const [, user] = unit.match(/^User=(\S+)$/m);
            const mode = (path) => statSync(join(root, path)).mode & 0o777;
            assert.match(file("usr/lib/sysusers.d/weir.conf"), new RegExp(`^u ${user} `, "m"));
            assert.match(file("DEBIAN/control"), /^Depends: .*adduser \| systemd-sysusers$/m);
            assert.deepEqual([mode("etc/weir"), mode("etc/weir/weir.yaml")], [0o750, 0o640]);
            const script = file("DEBIAN/postinst"); // it hands over what has just these modes
            assert.ok(script.includes(`-perm 750 -exec chgrp ${user} `));
            assert.match(script, new RegExp(`-perm 640 \\\\\n +-exec chgrp ${user} `));
        });

        it("keeps its registry in the folder that its unit makes, and a purge removes", () => {
            const unit = file("usr/lib/systemd/system/weir.service");
            const [, folder] = unit.match(/^StateDirectory=(\S+)$/m);
            assert.match(unit, /^StateDirectoryMode=0700$/m);
            assert.ok(file("etc/weir/weir.yaml").includes(`\nregistry: /var/lib/${folder}/`));
            assert.match(file("DEBIAN/postrm"), new RegExp(`rm -rf .*/var/lib/${folder}$`, "m"));
        });

        it("rotates the files of the folder that its unit may write to", () => {
            const unit = file("usr/lib/systemd/system/weir.service");
            const [, folder] = unit.match(/^LogsDirectory=(\S+)$/m);
            const rotation = file("etc/logrotate.d/weir");
            assert.ok(rotation.includes(`\n/var/log/${folder}/*.log {\n`));
            assert.match(rotation, /^ +systemctl kill -s USR1 weir\.service /m);
        });

        it("has scripts that a shell can read", async () => {
            for (const name of ["postinst", "prerm", "postrm"]) {
                const { code, output } = await run("sh", ["-n", join(root, "DEBIAN", name)]);
                assert.equal(code, 0, output);
            }
        });
    });
}
