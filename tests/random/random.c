/* random [--count N] [--seed S] [--size K] [--until PASS] [--keep DIR] [--quick] [FILE.np ..]
 *
 * N random programs, or those in files, through all checks. Each runs in a
 * process of its own, so that one that crashes, never ends or meets one of our
 * own "this cannot be" fails alone. What fails is printed as a small program. */
#include "random.h"
#include "isolate.h"
#include "native.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
    int count, size;
    uint64_t seed;
    const char *keep, *until;
    bool quick; /* no reducing */
} options;

static void count_op(void *env, const np_node *n)
{
    ((int *)env)[n->op]++;
}
/* The text of the program of a seed; seen: how often each op occurred. */
static char *generate(uint64_t seed, int size, int *seen)
{
    static const int lanes[] = {32, 4, 8, 16, 64}, rows[] = {4, 1, 2, 8};
    rn_draw d = {.seed = seed * 0x2545f4914f6cdd1du + 1};
    np_cx *cx = np_cx_new();
    np_mod *m = np_mod_new(cx, "random");
    np_text t = {0}, *out = &t;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "p%llu_", (unsigned long long)seed);
    bool main_form = rn_chance(&d, 35);
    if (main_form) np_text_add(out, RN_MAIN_FORM);
    np_text_add(out, "# knobs: lanes=%d rows=%d\n", lanes[rn_pick(&d, NP_LEN(lanes))],
                rows[rn_pick(&d, NP_LEN(rows))]);
    rn_generate(m, &d,
                &(rn_gen_opts){.statements = 2 + rn_pick(&d, size),
                               .prefix = prefix,
                               .main_form = main_form,
                               .large = rn_chance(&d, 15)});
    np_print_mod(out, m, (np_print_opts){0});
    for (int i = 0; i < m->nfns; i++) np_fn_walk(m->fn[i], count_op, seen);
    np_mod_free(m);
    np_cx_free(cx);
    return t.s;
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
typedef struct program {
    char name[64], *text, *code; /* code: the text of which native code is made */
    rn_outcome out;
} program;
static void complain(const options *o, const program *p)
{
    np_text small = {0};
    const char *text = strcmp(p->out.phase, RN_NATIVE) == 0 ? p->code : p->text;
    printf("FAIL %s: %s: %s: %s\n", p->name, p->out.phase, p->out.kind, p->out.why);
    if (!o->quick) rn_reduce(text, o->until, &p->out, &small);
    printf("%s%s---\n", small.s ? "a small program that fails in the same way:\n" : "",
           small.s ? small.s : text);
    fflush(stdout);
    keep(o, p->name, small.s ? small.s : text);
    np_text_free(&small);
}
typedef struct totals {
    int done, failed, outputs, loose, mains, streams;
    int seen[NP_NOPS];
} totals;
/* The same with a name for its only function that no other text of the batch has. */
static char *renamed(const char *text, const char *name)
{
    np_text t = {0};
    const char *fn = strstr(text, "fn @");
    if (fn) np_text_put(&t, text, (size_t)(fn + 4 - text));
    np_text_add(&t, "code_%.*s%s", (int)strcspn(name, "."), name, fn ? fn + 4 + strcspn(fn + 4, "(") : text);
    for (char *c = t.s + (fn ? fn + 4 - text : 0); *c && *c != '('; c++)
        if (*c == '-') *c = '_';
    return t.s;
}
/* n programs: each in the interpreter, then those that passed as code. */
static void examine(const options *o, program *p, int n, totals *t)
{
    const char *good[RN_BATCH];
    int which[RN_BATCH], ngood = 0;
    rn_outcome out[RN_BATCH];
    for (int i = 0; i < n; i++) {
        np_text derived = {0};
        rn_isolate(p[i].text, o->until, &p[i].out, &derived);
        t->outputs += p[i].out.outputs, t->loose += p[i].out.loose;
        t->mains += derived.s != NULL, t->streams += p[i].out.streams;
        p[i].code = derived.s ? renamed(derived.s, p[i].name) : strdup(p[i].text);
        np_text_free(&derived);
        if (*p[i].out.kind) continue;
        which[ngood] = i;
        good[ngood++] = p[i].code;
    }
    if (ngood && !o->until) rn_isolate_native(good, ngood, out);
    for (int i = 0; i < ngood && !o->until; i++) p[which[i]].out = out[i];
    for (int i = 0; i < n; i++) {
        t->done++;
        if (*p[i].out.kind) t->failed++, complain(o, &p[i]);
        free(p[i].text), free(p[i].code);
    }
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

/* In so many programs every op occurs that may stand before `fuse`. */
static int missing_ops(totals *t)
{
    int n = 0;
    for (int op = 0; op < NP_NOPS; op++) {
        bool never =
            np_op_info((np_op)op)->cls == NP_LOOPS || op == NP_BAD || op == NP_PARAM || op == NP_GROUP;
        t->done += !never;
        if (never || t->seen[op]) continue;
        printf("FAIL %s never occurs in random programs\n", np_op_info((np_op)op)->text);
        n++;
    }
    return n;
}

int main(int argc, char **argv)
{
    options o = {.count = 100, .size = 30, .seed = 1};
    totals t = {0};
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
    for (int i = 1; i < argc && files; i++) {
        program p = {.text = strstr(argv[i], ".np") ? read_file(argv[i]) : NULL};
        snprintf(p.name, sizeof p.name, "%s", argv[i]);
        if (p.text) examine(&o, &p, 1, &t);
    }
    for (int i = 0, n; i < o.count && !files; i += n) {
        program p[RN_BATCH] = {0};
        n = o.count - i < RN_BATCH ? o.count - i : RN_BATCH;
        for (int k = 0; k < n; k++) {
            uint64_t seed = o.seed + (unsigned)(i + k);
            snprintf(p[k].name, sizeof p[k].name, "seed-%llu.np", (unsigned long long)seed);
            p[k].text = generate(seed, o.size, t.seen);
        }
        examine(&o, p, n, &t);
    }
    if (o.count >= 500 && !files) t.failed += missing_ops(&t);
    printf("random: %d passed, %d failed, 0 skipped", t.done - t.failed, t.failed);
    if (t.mains) printf("; %d of %d descriptions stream", t.streams, t.mains);
    if (t.outputs)
        printf("; %.1f%% of the outputs are too sensitive to rounding to say much",
               100.0 * t.loose / t.outputs);
    printf("\n");
    return t.failed != 0;
}
