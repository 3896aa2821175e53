/* Options: one table for all commands. A row says how an option is written,
 * what it takes, where it is kept and what it means; a command names those that
 * it understands. Values are checked here, so that commands see only good ones. */
#include "driver.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FLAG, TEXT, COUNT, CHOICE, SETTING, PASS, CHUNK } kind;
typedef struct option {
    const char *name;
    char letter;
    kind kind;
    const char *takes; /* the value in help; of CHOICE: the values, separated by | */
    size_t at;
    int64_t least, most;
    const char *help;
} option;
#define AT(field) offsetof(np_options, field)
#define BLANK "                            "

/* |generic|..|native, from the rows of the table */
static const char targets[] = ""
#define NP_TARGET(name, lanes, rows, l1, l2, l3, threads, flags) "|" #name
#include "../backends/targets.def"
#undef NP_TARGET
    ;

static const option options[] = {
    {"out", 'o', TEXT, "FILE", AT(out), 0, 0,
     "where the result goes (build: - is standard output, for C and graphs)"},
    {"weights", 'w', TEXT, "PATH", AT(weights), 0, 0,
     "a safetensors file, a Hugging Face folder or a llama2.c .bin file"},
    {"tokenizer", 0, TEXT, "PATH", AT(tokenizer), 0, 0, "what tokens stand for: a llama2.c tokenizer.bin"},
    {"set", 's', SETTING, "KEY=VALUE", 0, 0, 0,
     "a config key of the model, or the size of an axis: size.B=2"},
    {"context", 0, COUNT, "N", AT(context), 1, INT32_MAX,
     "positions in all, where the model remembers every one of them"},
    {"batch", 0, COUNT, "N", AT(batch), 1, 1 << 20, "sequences at once: the size of the model's axis B"},
    {"chunk", 0, CHUNK, "N|NxM", AT(chunk), 0, 1 << 20,
     "steps of a scan that are computed as one block: 0 automatic, 1 step by step; 64x8: blocks of 64, 8 of "
     "them "
     "side by side"},
    {"emit", 'e', CHOICE, "bin|lib|so|c|obj|asm|graph", AT(emit), 0, 0,
     "a program (this is what comes of itself); a library (FILE.a and FILE.h); a shared object; C; an "
     "object; assembly; the "
     "module as text"},
    {"target", 0, CHOICE, targets + 1, AT(target), 0, 0,
     "the machine that it runs on (neap targets): any, one of a kind, or one like this"},
    {"backend", 0, CHOICE, "c|null", AT(backend), 0, 0, "what spells it; null: nothing is written"},
    {"print-before", 0, PASS, "PASS", AT(print_before), 0, 0,
     "show every function before that pass (or `all`)"},
    {"print-after", 0, PASS, "PASS", AT(print_after), 0, 0, "show every function after that pass (or `all`)"},
    {"time", 0, FLAG, NULL, AT(time), 0, 0, "time every pass"},
    {"eval", 0, FLAG, NULL, AT(eval), 0, 0,
     "interpret before and after every pass; name the first that changes an answer"},
    {"html", 0, TEXT, "FILE", AT(html), 0, 0, "write a page instead of printing; it needs no other file"},
    {"in", 'i', TEXT, "FILE", AT(in), 0, 0,
     "inputs by name (safetensors); its metadata `params` are settings of the model"},
    {"via", 0, CHOICE, "interp|c", AT(via), 0, 0,
     "what computes: the reference interpreter, or compiled C (this if nothing is said)"},
    {"rounded", 0, FLAG, NULL, AT(rounded), 0, 0,
     "interp: round to the declared types after every operation (else all in f64)"},
    {"split", 0, COUNT, "N", AT(split), 0, INT32_MAX, "run N steps, carry the state, run the rest"},
    {"repeat", 0, COUNT, "N", AT(repeat), 1, 1000000,
     "run it N times and print the median and the least time"},
    {"help", 'h', FLAG, NULL, AT(help), 0, 0, "this text"},
};
enum { OPTIONS = NP_LEN(options) };

static bool listed(const char *list, const char *word, size_t n, char between)
{
    for (const char *p = list; p; p = strchr(p, between) ? strchr(p, between) + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == between || p[n] == 0)) return true;
    return false;
}

static bool understood(const np_command *c, const option *o)
{
    return o->kind == FLAG && strcmp(o->name, "help") == 0
               ? true
               : listed(c->options, o->name, strlen(o->name), ' ');
}

int np_options_wrong(const char *command, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "neap%s%s: ", command ? " " : "", command ? command : "");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\nneap help%s%s says what there is\n", command ? " " : "", command ? command : "");
    va_end(ap);
    return NP_EXIT_USAGE;
}

static np_status unknown(const np_command *c, const char *name)
{
    const char *among[OPTIONS];
    int n = 0;
    for (int i = 0; i < OPTIONS; i++)
        if (understood(c, &options[i])) among[n++] = options[i].name;
    const char *near = np_str_near(name, n, among);
    for (int i = 0; i < OPTIONS; i++)
        if (strcmp(options[i].name, name) == 0) {
            np_options_wrong(c->name, "--%s is no option of this command", name);
            return NP_FAIL;
        }
    np_options_wrong(c->name, near ? "unknown option --%s; did you mean --%s?" : "unknown option --%s", name,
                     near);
    return NP_FAIL;
}

static bool whole_number(const char *v, int64_t least, int64_t most, int64_t *n)
{
    char *end;
    errno = 0;
    *n = strtoll(v, &end, 10);
    return end != v && !*end && !errno && *n >= least && *n <= most;
}

static np_status keep_count(const np_command *c, const option *o, const char *v, np_options *out)
{
    int64_t n;
    if (!whole_number(v, o->least, o->most, &n)) {
        np_options_wrong(c->name, "--%s takes a whole number from %lld to %lld, not '%s'", o->name,
                         (long long)o->least, (long long)o->most, v);
        return NP_FAIL;
    }
    *(int64_t *)((char *)out + o->at) = n;
    return NP_OK;
}

/* N, or NxM: chunks of N steps, M of them side by side. */
static np_status keep_chunk(const np_command *c, const option *o, const char *v, np_options *out)
{
    char first[32];
    const char *x = strchr(v, 'x');
    int64_t n, m = 0;
    if (x) snprintf(first, sizeof first, "%.*s", (int)(x - v), v);
    bool good = x ? isdigit((unsigned char)*v) && isdigit((unsigned char)x[1]) &&
                        whole_number(first, 2, o->most, &n) && whole_number(x + 1, 1, o->most, &m)
                  : whole_number(v, o->least, o->most, &n);
    if (!good) {
        np_options_wrong(
            c->name,
            "--%s takes a whole number from %lld to %lld, or NxM: chunks of N steps, 2 or more, M of them "
            "side by side; not '%s'",
            o->name, (long long)o->least, (long long)o->most, v);
        return NP_FAIL;
    }
    out->chunk = n;
    out->abreast = m;
    return NP_OK;
}

static np_status check_pass(const np_command *c, const option *o, const char *v)
{
    np_text all = {0};
    if (np_pass_find(v) || strcmp(v, "all") == 0) return NP_OK;
    for (const np_pass *p = np_passes; p->name; p++) np_text_add(&all, "%s, ", p->name);
    np_options_wrong(c->name, "--%s: there is no pass '%s'; there are %sor all of them: all", o->name, v,
                     all.s);
    np_text_free(&all);
    return NP_FAIL;
}

/* None of the values, which | separates: the error names the one that was meant, if it looks like a slip. */
static np_status no_choice(np_cx *cx, const np_command *c, const option *o, const char *v)
{
    const char *among[64] = {0}, *near;
    int n = 0;
    for (const char *p = o->takes; *p && n < (int)NP_LEN(among); p += *p == '|') {
        size_t len = strcspn(p, "|");
        among[n++] = np_str_len(cx, p, len);
        p += len;
    }
    near = np_str_near(v, n, among);
    np_options_wrong(c->name, "--%s takes %s%s, not '%s'%s%s%s", o->name, n > 1 ? "one of " : "", o->takes, v,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return NP_FAIL;
}

static np_status keep(np_cx *cx, const np_command *c, const option *o, const char *v, np_options *out)
{
    switch (o->kind) {
    case FLAG: *(bool *)((char *)out + o->at) = true; return NP_OK;
    case COUNT: return keep_count(c, o, v, out);
    case CHUNK: return keep_chunk(c, o, v, out);
    case SETTING: return np_settings_parse(cx, &out->set, v);
    case CHOICE:
        if (!listed(o->takes, v, strlen(v), '|') || !*v) return no_choice(cx, c, o, v);
        break;
    case PASS:
        if (check_pass(c, o, v)) return NP_FAIL;
        break;
    case TEXT:
        if (*v) break;
        np_options_wrong(c->name, "--%s: its %s is empty", o->name, o->takes);
        return NP_FAIL;
    }
    *(const char **)((char *)out + o->at) = v;
    return NP_OK;
}

/* The option that argv[*i] begins; its value, if it takes one, in *v. */
static const option *match(const np_command *c, int argc, char **argv, int *i, const char **v)
{
    const char *a = argv[*i], *eq = a[1] == '-' ? strchr(a, '=') : NULL;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)(eq ? eq - a : (long)strlen(a)), a);
    for (int k = 0; k < OPTIONS; k++) {
        const option *o = &options[k];
        bool is = a[1] == '-' ? strcmp(name + 2, o->name) == 0 : o->letter && a[1] == o->letter;
        if (!is || !understood(c, o)) continue;
        *v = eq ? eq + 1 : a[1] != '-' && a[2] ? a + 2 : NULL;
        if (o->kind == FLAG && *v) {
            np_options_wrong(c->name, "--%s takes no value", o->name);
            return NULL;
        }
        if (o->kind != FLAG && !*v) {
            if (*i + 1 >= argc || strcmp(argv[*i + 1], "--") == 0) {
                np_options_wrong(c->name, "--%s wants a value: %s", o->name, o->takes);
                return NULL;
            }
            *v = argv[++*i];
        }
        return o;
    }
    if (a[1] == '-')
        unknown(c, name + 2);
    else
        np_options_wrong(c->name, "unknown option %s", a);
    return NULL;
}

/* `-o -` is standard output: for texts that neap writes itself. */
static bool text_or_named(const np_command *c, const np_options *o)
{
    bool text = o->emit && (strcmp(o->emit, "c") == 0 || strcmp(o->emit, "graph") == 0);
    if (!o->out || strcmp(o->out, "-") != 0 || text) return true;
    np_options_wrong(c->name,
                     "-o -: only --emit c and --emit graph of build go to standard output; name a file");
    return false;
}

np_status np_options_read(np_cx *cx, const np_command *c, int argc, char **argv, int from, np_options *out)
{
    *out = (np_options){.chunk = NP_UNSAID, .split = NP_UNSAID};
    for (int i = from; i < argc; i++) {
        const char *v = NULL;
        if (strcmp(argv[i], "--") == 0) {
            out->nrest = argc - i - 1;
            out->rest = argv + i + 1;
            break;
        }
        if (argv[i][0] != '-' || !argv[i][1]) {
            if (out->nargs == NP_OPTIONS_ARGS) break;
            out->arg[out->nargs++] = argv[i];
            continue;
        }
        const option *o = match(c, argc, argv, &i, &v);
        if (!o || keep(cx, c, o, v, out)) return NP_FAIL;
    }
    if (out->help) return NP_OK;
    if (out->nargs < c->least || out->nargs > c->most) {
        np_options_wrong(c->name, out->nargs < c->least ? "%s is missing" : "too many arguments: %s",
                         out->nargs < c->least ? c->args : out->arg[c->most]);
        return NP_FAIL;
    }
    return text_or_named(c, out) ? NP_OK : NP_FAIL;
}

void np_options_help(const np_command *c, FILE *out)
{
    for (int i = 0; i < OPTIONS; i++) {
        const option *o = &options[i];
        char left[80], letter[8] = "";
        if (!understood(c, o)) continue;
        if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s %s", letter, o->name, o->takes ? o->takes : "");
        fprintf(out, "  %-*s  %s\n", (int)sizeof BLANK - 3, left, o->help);
    }
}
