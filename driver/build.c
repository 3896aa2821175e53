/* neap build: a model becomes a program, a library, or a text that can be
 * looked at. The result appears whole or not at all. */
#include "driver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern const char np_embed_runtime_np_rt_h[];
extern const unsigned long np_embed_runtime_np_rt_h_len;

typedef struct emitted {
    const char *name, *end; /* --emit NAME; how its file is called by default */
    int kind;               /* np_cckind; -1: the text itself */
    bool library;           /* without a main program */
} emitted;
static const emitted kinds[] = {
    {"bin", "", NP_CC_BIN, false}, {"lib", ".a", NP_CC_LIB, true},  {"so", ".so", NP_CC_SO, true},
    {"c", ".c", -1, false},        {"obj", ".o", NP_CC_OBJ, false}, {"asm", ".s", NP_CC_ASM, false},
    {"graph", ".np", -1, true},
};

typedef struct build {
    np_cx *cx;
    const np_options *o;
    np_job job;
    const emitted *kind;
    np_str out;
    np_text text;
    double start, last, passes, emit, compile; /* ms */
} build;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Time since the last call; who waits long is told what for. */
static double lap(build *b, const char *next)
{
    double now = now_ms(), ms = now - b->last;
    b->last = now;
    if (now - b->start > 2000 && next) fprintf(stderr, "neap: %s ..\n", next);
    return ms;
}

/* ---- where the result goes */
static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool to_stdout(const build *b)
{
    return b->o->out && strcmp(b->o->out, "-") == 0; /* options.c lets only texts through */
}

/* What a compiler writes is renamed into its place, so that must not be a device or a folder. */
static np_status find_out(build *b)
{
    const char *given = b->o->out, *end = b->kind->end;
    struct stat st;
    b->out = np_str_new(b->cx, given ? given : np_str_fmt(b->cx, "%s%s", b->job.model->name, end));
    if (given && b->kind->kind == NP_CC_LIB && !ends_with(given, end))
        b->out = np_str_fmt(b->cx, "%s%s", given, end);
    if (to_stdout(b) || stat(b->out, &st) != 0 || S_ISREG(st.st_mode) ||
        (b->kind->kind < 0 && !S_ISDIR(st.st_mode)))
        return NP_OK;
    np_error(b->cx, (np_loc){.file = b->out},
             S_ISDIR(st.st_mode) ? "is a folder; -o FILE names another place" : "is no regular file");
    return NP_FAIL;
}

/* ---- texts */
static np_status emit_graph(build *b)
{
    if (np_stream_derive(b->job.model->mod)) return NP_FAIL;
    np_print_mod(&b->text, b->job.model->mod, (np_print_opts){.loc = true});
    return NP_OK;
}

static np_status emit_code(build *b)
{
    np_program p;
    const np_backend *backend = np_backend_find(b->o->backend ? b->o->backend : "c");
    if (np_job_weights(&b->job) || np_job_derive(&b->job, NP_INIT | NP_PREFILL | NP_STEP)) return NP_FAIL;
    if (b->job.nplain == 0 && np_job_derive(&b->job, NP_WHOLE)) return NP_FAIL;
    if (b->kind->kind == NP_CC_BIN && np_job_need_speech(&b->job)) return NP_FAIL;
    bool speaks = np_job_speaks(&b->job);
    if (np_job_tokenizer(&b->job, speaks)) return NP_FAIL;
    lap(b, "passes");
    if (np_job_lower(&b->job)) return NP_FAIL;
    b->passes = lap(b, "writing C");
    np_status st = np_job_program(&b->job, speaks && !b->kind->library, &p);
    if (st == NP_OK) st = backend->emit(b->cx, &p, &b->text);
    b->emit = lap(b, "compiling C");
    return st;
}

/* ---- files */
static np_status write_header(build *b)
{
    np_str path = np_str_fmt(b->cx, "%.*s.h", (int)(strlen(b->out) - 2), b->out);
    return np_file_write(b->cx, path, np_embed_runtime_np_rt_h, np_embed_runtime_np_rt_h_len);
}

static np_status write_stdout(build *b, const char *text)
{
    if (fwrite(text, 1, b->text.n, stdout) == b->text.n && fflush(stdout) == 0) return NP_OK;
    np_error(b->cx, (np_loc){.file = np_str_new(b->cx, "standard output")}, "cannot write: %s",
             strerror(errno));
    return NP_FAIL;
}

static np_status write_out(build *b)
{
    const char *text = b->text.s ? b->text.s : "";
    if (to_stdout(b)) return write_stdout(b, text);
    if (b->kind->kind < 0) return np_file_write(b->cx, b->out, text, b->text.n);
    np_status st =
        np_cc_build(b->cx, (np_cckind)b->kind->kind, text, b->text.n, b->job.target->cflags, b->out);
    b->compile = lap(b, NULL);
    return st == NP_OK && b->kind->kind == NP_CC_LIB ? write_header(b) : st;
}

static void print_done(build *b)
{
    struct stat st;
    double front = b->last - b->start - b->passes - b->emit - b->compile;
    if (to_stdout(b) || stat(b->out, &st) != 0 || !S_ISREG(st.st_mode)) return;
    fprintf(stderr, "%s: %.0f KiB; model %.0f ms", b->out, (double)st.st_size / 1024, front);
    if (b->job.lowered) fprintf(stderr, ", passes %.0f ms, C text %.0f ms", b->passes, b->emit);
    if (b->compile > 0) fprintf(stderr, ", C compiler %.0f ms", b->compile);
    fprintf(stderr, "\n");
}

static np_status build_all(build *b)
{
    if (np_job_find(&b->job) || np_job_load(&b->job, 0, NULL) || find_out(b)) return NP_FAIL;
    bool graph = strcmp(b->kind->name, "graph") == 0;
    if (graph ? emit_graph(b) : emit_code(b)) return NP_FAIL;
    if (b->o->backend && strcmp(b->o->backend, "null") == 0) return NP_OK;
    if (write_out(b)) return NP_FAIL;
    print_done(b);
    return NP_OK;
}

int np_build_main(np_cx *cx, const np_options *o)
{
    build b = {.cx = cx, .o = o, .job = {.cx = cx, .o = o}, .kind = kinds};
    for (size_t i = 0; o->emit && i < NP_LEN(kinds); i++)
        if (strcmp(kinds[i].name, o->emit) == 0) b.kind = &kinds[i];
    b.start = b.last = now_ms();
    np_status st = build_all(&b);
    np_text_free(&b.text);
    np_job_free(&b.job);
    return st ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
