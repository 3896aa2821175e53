/* random [--count N] [--seed S] [--size K] [--until PASS] [--keep DIR] [--quick] [FILE.np ..]
 *
 * N random programs, or those in files, through all checks. Each runs in a
 * process of its own, so that one that crashes, never ends or meets one of our
 * own "this cannot be" fails alone. What fails is printed as a small program. */
#include "random.h"
#include "isolate.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    int count, size;
    uint64_t seed;
    const char *keep, *until;
    bool quick; /* no reducing */
} options;

/* The text of the program of a seed. */
static void generate(np_text *out, uint64_t seed, int size)
{
    static const int lanes[] = {32, 4, 8, 16, 64}, rows[] = {4, 1, 2, 8};
    rn_draw d = {.seed = seed * 0x2545f4914f6cdd1du + 1};
    np_cx *cx = np_cx_new();
    np_mod *m = np_mod_new(cx, "random");
    np_text_add(out, "# knobs: lanes=%d rows=%d\n", lanes[rn_pick(&d, NP_LEN(lanes))],
                rows[rn_pick(&d, NP_LEN(rows))]);
    rn_generate(m, &d, &(rn_gen_opts){.statements = 2 + rn_pick(&d, size), .prefix = ""});
    np_print_mod(out, m, (np_print_opts){0});
    np_mod_free(m);
    np_cx_free(cx);
}
static void keep(const options *o, const char *name, const char *text)
{
    np_text path = {0};
    if (!o->keep) return;
    np_text_add(&path, "%s/%s", o->keep, name);
    FILE *f = fopen(path.s, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    np_text_free(&path);
}
/* True: nothing is wrong. */
static bool examine(const options *o, const char *text, const char *name, rn_outcome *out)
{
    rn_isolate(text, o->until, out);
    if (!*out->kind) return true;
    printf("FAIL %s: %s: %s: %s\n", name, out->phase, out->kind, out->why);
    np_text small = {0};
    if (!o->quick) rn_reduce(text, o->until, out, &small);
    printf("%s%s---\n", small.s ? "a small program that fails in the same way:\n" : "",
           small.s ? small.s : text);
    fflush(stdout);
    keep(o, name, small.s ? small.s : text);
    np_text_free(&small);
    return false;
}
static char *read_file(const char *path)
{
    np_text t = {0};
    char buf[4096];
    FILE *f = fopen(path, "r");
    for (size_t n; f && (n = fread(buf, 1, sizeof buf, f)) > 0;) np_text_put(&t, buf, n);
    if (f) fclose(f);
    return t.s;
}

int main(int argc, char **argv)
{
    options o = {.count = 100, .size = 30, .seed = 1};
    int failed = 0, done = 0, outputs = 0, loose = 0;
    bool files = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--count") == 0 && more)
            o.count = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seed") == 0 && more)
            o.seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--size") == 0 && more)
            o.size = atoi(argv[++i]);
        else if (strcmp(argv[i], "--keep") == 0 && more)
            o.keep = argv[++i];
        else if (strcmp(argv[i], "--until") == 0 && more)
            o.until = argv[++i];
        else if (strcmp(argv[i], "--quick") == 0)
            o.quick = true;
        else
            files = true;
    }
    rn_outcome out;
    for (int i = 1; i < argc && files; i++) {
        char *text = strstr(argv[i], ".np") ? read_file(argv[i]) : NULL;
        if (!text) continue;
        done++;
        failed += !examine(&o, text, argv[i], &out);
        free(text);
    }
    for (int i = 0; i < o.count && !files; i++, done++) {
        np_text text = {0};
        char name[64];
        snprintf(name, sizeof name, "seed-%llu.np", (unsigned long long)o.seed + (unsigned)i);
        generate(&text, o.seed + (unsigned)i, o.size);
        failed += !examine(&o, text.s, name, &out);
        outputs += out.outputs, loose += out.loose;
        np_text_free(&text);
    }
    printf("%d programs, %d failed", done, failed);
    if (outputs)
        printf("; %.1f%% of the outputs are too sensitive to rounding to say much", 100.0 * loose / outputs);
    printf("\n");
    return failed != 0;
}
