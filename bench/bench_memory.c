/* SPDX-License-Identifier: Apache-2.0 */
/* bench_memory.c - windows of KEYS keys with REQUESTS requests each, spread over 60 s.
 *
 *   bench_memory embedded KEYS REQUESTS   fills the embedded store, prints its memory as JSON
 *   bench_memory packed KEYS REQUESTS     prints Redis commands that write the packed values
 *   bench_memory sets KEYS REQUESTS       prints Redis commands that write sorted sets
 *
 * Amounts are drawn alike in all three. */
#include <inttypes.h>
#include <unistd.h>

#include "base/mem.h"
#include "bench_common.h"
#include "limit/window.h"
#include "store/embedded/embedded.h"

#define START_US  UINT64_C(1000000000000)
#define EXPIRE_MS "3600000" /* long enough that nothing goes while the bench looks */

struct load {
    struct weir_plan plan;
    struct weir_rand dice;
    uint64_t keys;
    uint64_t requests;
};

static uint64_t request_at_us(const struct load *l, uint64_t request)
{
    return START_US + request * BENCH_WINDOW_S * UINT64_C(1000000) / l->requests;
}

static struct weir_amounts draw(struct load *l)
{
    uint64_t input = 20 + weir_rand_below(&l->dice, 1500);
    return weir_amounts(1, input, 1 + weir_rand_below(&l->dice, 300));
}

static uint64_t rss_bytes(void)
{
    char line[128];
    uint64_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fgets(line, sizeof(line), f) != NULL) {
            const char *resident = strchr(line, ' ');
            pages = resident == NULL ? 0 : strtoull(resident, NULL, 10);
        }
        fclose(f);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum weir_err fill_embedded(struct load *l)
{
    struct weir_embedded *table = NULL;
    uint64_t before = rss_bytes();
    WEIR_TRY(weir_embedded_new(&(struct weir_embedded_opts){.max_subjects = l->keys}, &table));
    enum weir_err err = WEIR_OK;
    for (uint64_t r = 0; r < l->requests && err == WEIR_OK; r++) {
        for (uint64_t k = 0; k < l->keys && err == WEIR_OK; k++) {
            const struct weir_subject subject = bench_subject(k, &l->plan);
            const struct weir_subject *subjects[] = {&subject};
            const struct weir_amounts amounts = draw(l);
            struct weir_decision d;
            err = weir_embedded_take(table, subjects, 1, &amounts, request_at_us(l, r), &d);
        }
    }
    if (err == WEIR_OK) {
        printf("{\"keys\": %" PRIu64 ", \"requests\": %" PRIu64 ", \"bytes\": %" PRIu64
               ", \"rss_bytes\": %" PRIu64 "}\n",
               weir_embedded_subjects(table), l->requests, weir_embedded_bytes(table),
               rss_bytes() - before);
    }
    weir_embedded_free(table);
    return err;
}

static enum weir_err make_room(struct weir_value *v, uint32_t room)
{
    uint8_t *data = weir_realloc(v->data, room);
    if (data == NULL) {
        return WEIR_ERR_NOMEM;
    }
    v->data = data;
    v->room = room;
    return WEIR_OK;
}

static enum weir_err charge_value(struct load *l, struct weir_value *v, uint64_t now_us)
{
    const struct weir_amounts amounts = draw(l);
    uint32_t room;
    while ((room = weir_value_prepare(v, &l->plan, now_us)) != 0 ||
           (room = weir_value_add(v, &l->plan, now_us, &amounts)) != 0) {
        WEIR_TRY(make_room(v, room));
    }
    return WEIR_OK;
}

static enum weir_err write_packed(struct load *l)
{
    struct weir_value v = {0};
    enum weir_err err = WEIR_OK;
    for (uint64_t k = 0; k < l->keys && err == WEIR_OK; k++) {
        v.len = 0;
        for (uint64_t r = 0; r < l->requests && err == WEIR_OK; r++) {
            err = charge_value(l, &v, request_at_us(l, r));
        }
        printf("*5\r\n$3\r\nSET\r\n$18\r\nweir:{key:k%06" PRIu64 "}\r\n$%" PRIu32 "\r\n", k, v.len);
        fwrite(v.data, 1, v.len, stdout);
        printf("\r\n$2\r\nPX\r\n$%zu\r\n%s\r\n", sizeof(EXPIRE_MS) - 1, EXPIRE_MS);
    }
    weir_free(v.data);
    return err;
}

static void print_bulk(const char *text)
{
    printf("$%zu\r\n%s\r\n", strlen(text), text);
}

/* As bench/peers/sliding_window.lua leaves them: a member "<request id>:<amount>" per request and
 * meter, scored by its time in milliseconds. */
static void write_sets(struct load *l)
{
    static const char *const meter[] = {"requests", "input_tokens", "output_tokens"};
    char text[96];
    for (uint64_t k = 0; k < l->keys; k++) {
        struct weir_rand saved = l->dice;
        for (unsigned m = 0; m < 3; m++) {
            char key[64];
            snprintf(key, sizeof(key), "rl:{sk-bench-k%06" PRIu64 "}:%s", k, meter[m]);
            l->dice = saved; /* one request has one id and one set of amounts in all three */
            printf("*%" PRIu64 "\r\n", 2 + 2 * l->requests);
            print_bulk("ZADD");
            print_bulk(key);
            for (uint64_t r = 0; r < l->requests; r++) {
                uint64_t amount = draw(l).of[m];
                uint64_t id = weir_rand_u64(&l->dice);
                snprintf(text, sizeof(text), "%" PRIu64, request_at_us(l, r) / 1000);
                print_bulk(text);
                snprintf(text, sizeof(text), "%016" PRIx64 "%016" PRIx64 ":%" PRIu64, id,
                         weir_mix64(id), amount);
                print_bulk(text);
            }
            printf("*3\r\n");
            print_bulk("PEXPIRE");
            print_bulk(key);
            print_bulk(EXPIRE_MS);
        }
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_memory embedded|packed|sets KEYS REQUESTS\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct load l = {0};
    if (argc != 4 || weir_str_u64(weir_str_z(argv[2]), 1000000, &l.keys) != WEIR_OK ||
        weir_str_u64(weir_str_z(argv[3]), 100000, &l.requests) != WEIR_OK || l.keys == 0 ||
        l.requests == 0) {
        return usage();
    }
    enum weir_err err = bench_plan(&l.plan);
    weir_rand_init(&l.dice, 1);
    if (err == WEIR_OK && strcmp(argv[1], "embedded") == 0) {
        err = fill_embedded(&l);
    } else if (err == WEIR_OK && strcmp(argv[1], "packed") == 0) {
        err = write_packed(&l);
    } else if (err == WEIR_OK && strcmp(argv[1], "sets") == 0) {
        write_sets(&l);
    } else {
        return usage();
    }
    if (err != WEIR_OK || fflush(stdout) != 0) {
        fprintf(stderr, "bench_memory: %s\n", weir_err_name(err));
        return 1;
    }
    return 0;
}
