/* SPDX-License-Identifier: Apache-2.0 */
/* TLS to a real Redis, with certificates of the test's own: who is trusted, and that no bytes are
 * lost. No message tells a secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/redis_server.h"
#include "support/shards_owner.h"

struct fixture {
    struct redis_server server; /* its folder has the certificates, too */
    unsigned plain_port;
    struct shards_owner owner;
};

static struct fixture f;

/* Runs a line of the shell in the folder. */
static bool shell(const char *line)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (chdir(f.server.folder) == 0) {
            execl("/bin/sh", "sh", "-ec", line, NULL);
        }
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool certificates(void)
{
    return shell(
        "exec 2>openssl.log\n"
        "new='openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
        "for ca in ca other; do\n"
        "    $new -x509 -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem\n"
        "done\n"
        "for who in redis weir; do\n"
        "    $new -subj /CN=$who -keyout $who.key -out $who.csr\n"
        "    echo 'subjectAltName=DNS:redis.test,IP:127.0.0.1' >names\n"
        "    [ $who = redis ] || echo 'keyUsage=digitalSignature' >names\n"
        "    openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\\n"
        "        -extfile names -out $who.pem\n"
        "done\n");
}

static int start(void **state)
{
    (void)state;
    char port[8], plain[8];
    if (!redis_server_folder(&f.server) || !certificates()) {
        return -1;
    }
    f.server.port = redis_server_free_port();
    f.plain_port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", f.server.port);
    snprintf(plain, sizeof(plain), "%u", f.plain_port);
    const char *const args[] = {"redis-server",
                                "--tls-port",
                                port,
                                "--port",
                                plain,
                                "--tls-cert-file",
                                "redis.pem",
                                "--tls-key-file",
                                "redis.key",
                                "--tls-ca-cert-file",
                                "ca.pem",
                                "--tls-auth-clients",
                                "yes",
                                "--save",
                                "",
                                "--requirepass",
                                "sk_CANARY_tls",
                                "--bind",
                                "127.0.0.1",
                                NULL};
    return redis_server_run(&f.server, args, "eady to accept connections") ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    redis_server_remove(&f.server);
    return 0;
}

/* {{ }} with the folder before each file's name. */
static enum weir_err try_open(const char *host, unsigned port, const char *ca, const char *cert,
                              const char *key, const char *name)
{
    char yaml[2048], files[1024] = "";
    const char *const fields[][2] = {{"ca", ca}, {"cert", cert}, {"key", key}};
    size_t len = 0;
    for (unsigned i = 0; i < 3; i++) {
        if (fields[i][1] != NULL) {
            len += (size_t)snprintf(files + len, sizeof(files) - len, "%s: %s/%s, ", fields[i][0],
                                    f.server.folder, fields[i][1]);
        }
    }
    if (name != NULL) {
        snprintf(files + len, sizeof(files) - len, "server_name: %s", name);
    }
    snprintf(yaml, sizeof(yaml),
             "store: rediss://:sk_CANARY_tls@%s:%u\nstore_timeout_ms: 5000\n"
             "store_connect_timeout_ms: 3000\nstore_tls: {%s}\n",
             host, port, files);
    f.owner = (struct shards_owner){0};
    return owner_try_open(&f.owner, yaml);
}

static void taken(const char *host, const char *name)
{
    struct shards_owner *o = &f.owner;
    assert_int_equal(try_open(host, f.server.port, "ca.pem", "weir.pem", "weir.key", name),
                     WEIR_OK);
    OWNER_UNTIL(o, o->ups > 0);
    assert_int_equal(o->downs, 0);
    assert_string_equal(owner_ask(o, "SET", "a", "1"), "OK");
    owner_close(o);
}

static void refused(const char *host, const char *ca, const char *cert, const char *name,
                    const char *text)
{
    struct shards_owner *o = &f.owner;
    assert_int_equal(
        try_open(host, f.server.port, ca, cert, cert == NULL ? NULL : "weir.key", name), WEIR_OK);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->ups, 0);
    assert_int_equal(o->why, WEIR_REDIS_REFUSED);
    if (strstr(o->text, text) == NULL || strstr(o->text, "CANARY") != NULL) {
        fail_msg("%s\nexpected: %s", o->text, text);
    }
    owner_close(o);
}

/* The certificate names an address and a name. */
static void test_trusted(void **state)
{
    (void)state;
    taken("127.0.0.1", NULL);
    taken("127.0.0.1", "redis.test");
    taken("localhost", "redis.test");
    taken("localhost", "127.0.0.1");
}

static void test_not_trusted(void **state)
{
    (void)state;
#define NOT_TRUSTED "has a certificate that is not trusted: "
    refused("127.0.0.1", "other.pem", "weir.pem", NULL, NOT_TRUSTED);
    refused("127.0.0.1", NULL, "weir.pem", NULL, NOT_TRUSTED); /* the system knows no such CA */
    refused("localhost", "ca.pem", "weir.pem", NULL, NOT_TRUSTED "hostname mismatch");
    refused("127.0.0.1", "ca.pem", "weir.pem", "other.test", NOT_TRUSTED "hostname mismatch");
    refused("127.0.0.1", "ca.pem", "weir.pem", "127.0.0.2", NOT_TRUSTED "IP address mismatch");
}

/* Redis wants to know who we are. */
static void test_no_client_certificate(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    assert_int_equal(try_open("127.0.0.1", f.server.port, "ca.pem", NULL, NULL, NULL), WEIR_OK);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->ups, 0);
    /* it hangs up; whether its reason is read before is a matter of chance */
    assert_true(strstr(o->text, "it may want store_tls.cert") != NULL ||
                strstr(o->text, "certificate required") != NULL);
    owner_close(o);
}

static void test_speaks_no_tls(void **state)
{
    (void)state;
    struct shards_owner *o = &f.owner;
    assert_int_equal(try_open("127.0.0.1", f.plain_port, "ca.pem", "weir.pem", "weir.key", NULL),
                     WEIR_OK);
    OWNER_UNTIL(o, o->downs > 0);
    assert_int_equal(o->ups, 0);
    assert_non_null(strstr(o->text, "does not answer with TLS"));
    owner_close(o);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const struct {
        const char *ca, *cert, *key, *text;
    } wrong[] = {
        {"absent.pem", NULL, NULL, "store_tls.ca cannot be used: "},
        {"ca.key", NULL, NULL, "store_tls.ca cannot be used: "},
        {"ca.pem", "absent.pem", "weir.key", "store_tls.cert cannot be used: No such file"},
        {"ca.pem", "weir.pem", "absent.key", "store_tls.key cannot be used: No such file"},
        {"ca.pem", "weir.pem", "redis.key", "store_tls.key cannot be used: "},
        {"ca.pem", "weir.key", "weir.key", "store_tls.cert cannot be used: "},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(
            try_open("127.0.0.1", f.server.port, wrong[i].ca, wrong[i].cert, wrong[i].key, NULL),
            WEIR_ERR_INVALID);
        if (strstr(f.owner.text, wrong[i].text) != f.owner.text) {
            fail_msg("%s\nexpected: %s", f.owner.text, wrong[i].text);
        }
        owner_close(&f.owner);
    }
}

/* Far more than the kernel takes at once, both ways; each answer is what was said. */
static void on_echoed(struct shards_owner *o, uint8_t what, void *ptr, bool answered)
{
    (void)what;
    assert_true(answered);
    assert_int_equal(strtoul(o->answer, NULL, 10), (uintptr_t)ptr);
}

static void test_many_bytes(void **state)
{
    (void)state;
    enum { CALLS = 400, BYTES = 8000 };
    struct shards_owner *o = &f.owner;
    char *text = weir_zalloc(BYTES);
    assert_int_equal(try_open("127.0.0.1", f.server.port, "ca.pem", "weir.pem", "weir.key", NULL),
                     WEIR_OK);
    OWNER_UNTIL(o, o->ups > 0);
    o->on_end = on_echoed;
    for (uintptr_t i = 0; i < CALLS; i++) {
        size_t len = (size_t)snprintf(text, BYTES, "%zu:", (size_t)i);
        memset(text + len, 'x', BYTES - len);
        const struct weir_str words[] = {WEIR_STR("ECHO"), {text, 1 + len + i * 3 % (BYTES - 99)}};
        assert_true(owner_send(o, words, 2, (void *)i));
    }
    OWNER_UNTIL(o, o->answered == CALLS);
    assert_int_equal(o->downs, 0);
    owner_close(o);
    weir_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trusted),
        cmocka_unit_test(test_not_trusted),
        cmocka_unit_test(test_no_client_certificate),
        cmocka_unit_test(test_speaks_no_tls),
        cmocka_unit_test(test_wrong_files),
        cmocka_unit_test(test_many_bytes),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
