/* The options of a compiled model: one row each. A value is checked here, so
 * that the program sees only good ones. */
#include "np_rt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum { RT_FLAG, RT_TEXT, RT_COUNT, RT_REAL } rt_kind;
typedef struct rt_option {
    const char *name;
    rt_kind kind;
    size_t at; /* in np_rt_args */
    double least, most;
    const char *takes, *help;
} rt_option;

static const rt_option rt_options[] = {
    {"-p", RT_TEXT, offsetof(np_rt_args, prompt), 0, 0, "TEXT", "goes on from this text"},
    {"-f", RT_TEXT, offsetof(np_rt_args, file), 0, 0, "FILE",
     "goes on from the text in a file; - is what is piped in"},
    {"-n", RT_COUNT, offsetof(np_rt_args, n), 0, 1e15, "N",
     "ends the text after N tokens, those of the prompt and of --load\n"
     "included; 0 is no limit; without it, 256 more than there were"},
    {"--temp", RT_REAL, offsetof(np_rt_args, temp), 0, 1e6, "X",
     "temperature, 0.8 by default; 0: always the likeliest token"},
    {"--top-k", RT_COUNT, offsetof(np_rt_args, top_k), 0, 1e9, "K",
     "chooses among the K likeliest; 0, the default, is off"},
    {"--top-p", RT_REAL, offsetof(np_rt_args, top_p), 0, 1, "P",
     "chooses among the likeliest that have P of the probability\n"
     "together, 0.95 by default; 1 is off"},
    {"--min-p", RT_REAL, offsetof(np_rt_args, min_p), 0, 1, "P",
     "and only among those that are at least P times as likely\n"
     "as the likeliest; 0, the default, is off"},
    {"--repeat-penalty", RT_REAL, offsetof(np_rt_args, repeat_penalty), 0.01, 100, "X",
     "makes the last 64 tokens less likely; 1, the default, is off"},
    {"--seed", RT_COUNT, offsetof(np_rt_args, seed), 0, 9e18, "S", "the same seed gives the same text"},
    {"--save", RT_TEXT, offsetof(np_rt_args, save), 0, 0, "FILE",
     "at the end, keeps what was read and written"},
    {"--load", RT_TEXT, offsetof(np_rt_args, load), 0, 0, "FILE", "goes on from what --save kept"},
    {"--logits", RT_TEXT, offsetof(np_rt_args, logits), 0, 0, "FILE",
     "writes the logits after every token that was read, as the\n"
     "tensor `logits` [T,V] of a safetensors file"},
    {"--ids", RT_FLAG, offsetof(np_rt_args, ids), 0, 0, NULL, "prints ids instead of text"},
    {"--perplexity", RT_TEXT, offsetof(np_rt_args, perplexity), 0, 0, "FILE",
     "says how well the model predicts the text in a file"},
    {"--bench", RT_FLAG, offsetof(np_rt_args, bench), 0, 0, NULL, "measures: the median of 5 runs"},
    {"--threads", RT_COUNT, offsetof(np_rt_args, threads), 1, 4096, "N", "this program runs on one"},
    {"--quiet", RT_FLAG, offsetof(np_rt_args, quiet), 0, 0, NULL, "no timings"},
    {"--help", RT_FLAG, offsetof(np_rt_args, help), 0, 0, NULL, "this text"},
    {"--version", RT_FLAG, offsetof(np_rt_args, version), 0, 0, NULL, "what this program was made from"},
};
enum {
    RT_OPTIONS = sizeof rt_options / sizeof *rt_options,
    RT_NAME_MAX = 24,
    RT_HELP_COLUMN = 26,
    RT_WRONG = 2
};

/* How many letters must be added, left out, changed, or exchanged with the next one. */
static int rt_distance(const char *a, size_t na, const char *b)
{
    int row[3][RT_NAME_MAX + 1], nb = (int)strlen(b);
    int *older = row[0], *old = row[1], *now = row[2];
    for (int k = 0; k <= nb; k++) old[k] = k;
    for (int i = 1; i <= (int)na; i++) {
        now[0] = i;
        for (int k = 1; k <= nb; k++) {
            int d = old[k - 1] + (a[i - 1] != b[k - 1]);
            if (d > old[k] + 1) d = old[k] + 1;
            if (d > now[k - 1] + 1) d = now[k - 1] + 1;
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && d > older[k - 2] + 1)
                d = older[k - 2] + 1;
            now[k] = d;
        }
        int *free_row = older;
        older = old;
        old = now;
        now = free_row;
    }
    return old[nb];
}

static const rt_option *rt_nearest(const char *name, size_t n)
{
    const rt_option *best = NULL;
    int least = n > 4 ? 3 : 2; /* farther than that is no likeness */
    for (int i = 0; n <= RT_NAME_MAX && i < RT_OPTIONS; i++) {
        int d = rt_distance(name, n, rt_options[i].name);
        if (d >= least) continue;
        least = d;
        best = &rt_options[i];
    }
    return best;
}

static int rt_unknown(const char *program, const char *arg, size_t n)
{
    const rt_option *near = rt_nearest(arg, n);
    if (arg[0] != '-')
        fprintf(stderr, "%s: what is '%s' for? A text to go on from is given with -p\n", program, arg);
    else if (near)
        fprintf(stderr, "%s: unknown option %.*s; did you mean %s?\n", program, (int)n, arg, near->name);
    else
        fprintf(stderr, "%s: unknown option %.*s; --help lists them\n", program, (int)n, arg);
    return RT_WRONG;
}

static int rt_set(const char *program, np_rt_args *a, const rt_option *o, const char *value)
{
    char *end;
    void *field = (char *)a + o->at;
    errno = 0;
    if (o->kind == RT_TEXT) {
        *(const char **)field = value;
        return 0;
    }
    double x = o->kind == RT_REAL ? strtod(value, &end) : (double)strtoll(value, &end, 10);
    if (end == value || *end || errno || !(x >= o->least && x <= o->most)) {
        fprintf(stderr, "%s: %s takes a %snumber from %.15g to %.15g, not '%s'\n", program, o->name,
                o->kind == RT_REAL ? "" : "whole ", o->least, o->most, value);
        return RT_WRONG;
    }
    if (o->kind == RT_REAL)
        *(double *)field = x;
    else
        *(int64_t *)field = strtoll(value, NULL, 10);
    return 0;
}

/* One option at argv[*i], and its value, which may stand behind `=` or come next. */
static int rt_option_read(const char *program, np_rt_args *a, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
    const rt_option *o = NULL;
    for (int k = 0; k < RT_OPTIONS; k++)
        if (strlen(rt_options[k].name) == n && memcmp(rt_options[k].name, arg, n) == 0) o = &rt_options[k];
    if (strcmp(arg, "-h") == 0) return a->help = 1, 0;
    if (!o) return rt_unknown(program, arg, n);
    if (o->kind == RT_FLAG && equals) {
        fprintf(stderr, "%s: %s takes no value\n", program, o->name);
        return RT_WRONG;
    }
    if (o->kind == RT_FLAG) return *(int *)((char *)a + o->at) = 1, 0;
    if (!equals && *i + 1 == argc) {
        fprintf(stderr, "%s: %s: %s is missing\n", program, o->name, o->takes);
        return RT_WRONG;
    }
    return rt_set(program, a, o, equals ? equals + 1 : argv[++*i]);
}

static int rt_together(const char *program, const np_rt_args *a)
{
    const char *text = a->prompt ? "-p" : a->file ? "-f" : a->load ? "--load" : a->save ? "--save" : NULL;
    const char *one = a->perplexity ? "--perplexity" : "--bench", *other = text        ? text
                                                                           : a->logits ? "--logits"
                                                                                       : NULL;
    if (a->perplexity && a->bench) other = "--bench";
    if (!a->perplexity && !a->bench) {
        if (!a->prompt || !a->file) return 0;
        one = "-p";
        other = "-f";
    }
    if (!other) return 0;
    fprintf(stderr, "%s: %s and %s do not go together\n", program, one, other);
    return RT_WRONG;
}

int np_rt_args_read(np_rt_args *a, int argc, char **argv)
{
    const char *program = argc > 0 ? argv[0] : "";
    *a = (np_rt_args){.n = -1, .seed = -1, .threads = 1, .temp = 0.8, .top_p = 0.95, .repeat_penalty = 1};
    for (int i = 1; i < argc; i++) {
        int wrong = rt_option_read(program, a, argc, argv, &i);
        if (wrong) return wrong;
    }
    return a->help || a->version ? 0 : rt_together(program, a);
}

void np_rt_args_help(const char *program)
{
    printf("%s [OPTIONS]\n\nThe text goes to standard output, timings and messages to standard error.\n\n",
           program);
    for (int i = 0; i < RT_OPTIONS; i++) {
        const rt_option *o = &rt_options[i];
        int used = printf("  %s %s", o->name, o->takes ? o->takes : "");
        printf("%*s", RT_HELP_COLUMN - used, "");
        for (const char *p = o->help; *p; p++) {
            putchar(*p);
            if (*p == '\n') printf("%*s", RT_HELP_COLUMN, "");
        }
        putchar('\n');
    }
}
