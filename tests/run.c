/* Text tests. A .np file under test is header comments, a module, a line
 * `---`, and the text that is expected:
 *   # test: parse          the canonical text of the module
 *   # test: pass NAME      after this pass over every function of its stage
 *   # test: stream         after np_stream_derive
 *   # test: reassoc        @main after np_reassoc_causal
 *   # test: emit c         as C, after all passes (run_code.c)
 *   # test: conform        computes what the interpreter says, by every backend (run_code.c)
 *   # knobs: lanes=8 rows=2
 *   # eval: T=8 N=0 tol=1e-12   (several lines: several cases)
 *   # note: a note that must be given (a part of its text)
 * With an eval line every function is interpreted before and after on seeded
 * inputs; a wrong answer fails before any text is compared, and --bless, which
 * rewrites the text behind `---`, refuses it. `before` of a parse test is the
 * module as written, neither folded nor shared.
 *
 * A file with comments `#! message` is bad input: each error must stand on a
 * line that announces it, and each announcement must come true.
 *
 * Every file runs in a process of its own: one that crashes fails alone. */
#include "run.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int run_fail(const test *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    printf("FAIL %s: ", t->path);
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    return FAILED;
}
static char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 1 << 16;
    char *s = malloc(cap + 1);
    *n = 0;
    for (size_t got; f && (got = fread(s + *n, 1, cap - *n, f)) > 0;) {
        *n += got;
        if (*n == cap) s = realloc(s, 2 * cap + 1), cap *= 2;
    }
    s[*n] = 0;
    if (f) fclose(f);
    return f ? s : (free(s), NULL);
}

/* ---- the header */
const char *run_header(const char *from, const char *end, const char *key)
{
    for (const char *p = from; p && p < end; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (*p != '#') continue;
        const char *q = p + 1 + strspn(p + 1, " ");
        if (strncmp(q, key, strlen(key)) == 0) return q + strlen(key);
    }
    return NULL;
}
bool run_setting(const char *line, const char *key, double *out)
{
    const char *end = line + strcspn(line, "\n");
    size_t n = strlen(key);
    for (const char *p = line; p < end; p += strcspn(p, " \n") + 1) {
        p += strspn(p, " ");
        if (strncmp(p, key, n) == 0 && p[n] == '=') {
            *out = strtod(p + n + 1, NULL);
            return true;
        }
    }
    return false;
}
static void read_header(test *t)
{
    const char *p = strstr(t->text, "\n---\n"), *h, *end = t->text + t->n;
    double v;
    t->split = p ? (size_t)(p - t->text) + 5 : t->n;
    h = run_header(t->text, end, "test:");
    if (h) sscanf(h, "%31s %31s", t->kind, t->pass);
    t->knobs = (np_knobs){.lanes = 32, .rows = 4, .chunk = 1};
    h = run_header(t->text, end, "knobs:");
    if (h && run_setting(h, "lanes", &v)) t->knobs.lanes = (int)v;
    if (h && run_setting(h, "rows", &v)) t->knobs.rows = (int)v;
    if (h && run_setting(h, "chunk", &v)) t->knobs.chunk = (int)v;
    if (h && run_setting(h, "abreast", &v)) t->knobs.abreast = (int)v;
    if (h && run_setting(h, "block", &v)) t->knobs.block = (int)v;
    if (h && run_setting(h, "spare", &v)) t->knobs.spare = (int)v;
}

/* ---- bad input */
static bool announced(const char *line, const char *end, const char *text)
{
    for (const char *p = line; (p = strstr(p, "#!")) && p < end;) {
        char want[512];
        const char *stop = strstr(p + 2, "#!");
        p += 2 + strspn(p + 2, " ");
        if (!stop || stop > end) stop = end;
        while (stop > p && stop[-1] == ' ') stop--;
        snprintf(want, sizeof want, "%.*s", (int)(stop - p), p);
        if (!text ? true : strstr(text, want) != NULL) return true;
    }
    return false;
}
static int run_bad(test *t)
{
    np_cx *cx = np_cx_new();
    int r = PASSED, line = 1;
    np_mod *m = np_parse(cx, t->path, t->text, t->n);
    if (m) r = run_fail(t, "no error");
    np_mod_free(m);
    for (const char *p = t->text, *end; *p; p = *end ? end + 1 : end, line++) {
        end = p + strcspn(p, "\n");
        bool any = false;
        for (int i = 0; i < cx->ndiags; i++) {
            const np_diag *d = &cx->diag[i];
            if (d->level != NP_ERROR || d->loc.line != line) continue;
            any = true;
            if (!announced(p, end, d->text)) r = run_fail(t, "line %d: unexpected: %s", line, d->text);
        }
        if (!any && announced(p, end, NULL)) r = run_fail(t, "line %d: no error where one is announced", line);
    }
    for (int i = 0; i < cx->ndiags; i++)
        if (cx->diag[i].loc.line < 1 || cx->diag[i].loc.line >= line) r = run_fail(t, "an error without a line: %s", cx->diag[i].text);
    np_cx_free(cx);
    return r;
}

/* ---- comparing texts */
static void show_lines(char mark, const char *from, const char *end)
{
    for (int n = 0; from < end; n++) {
        size_t w = strcspn(from, "\n");
        if (n == 8) {
            printf("  %c ..\n", mark);
            return;
        }
        printf("  %c %.*s\n", mark, (int)w, from);
        from += w + (from[w] == '\n');
    }
}
/* What differs, without the lines that both texts share at the start and the end. */
static void show_diff(const char *want, const char *got)
{
    const char *we = want + strlen(want), *ge = got + strlen(got);
    for (;;) {
        size_t w = strcspn(want, "\n"), g = strcspn(got, "\n");
        if (w != g || memcmp(want, got, w) != 0 || !want[w] || !got[g]) break;
        want += w + 1, got += g + 1;
    }
    for (;;) {
        const char *w = we, *g = ge;
        if (w > want) for (w--; w > want && w[-1] != '\n';) w--;
        if (g > got) for (g--; g > got && g[-1] != '\n';) g--;
        if (w == we || g == ge || we - w != ge - g || memcmp(w, g, (size_t)(we - w)) != 0) break;
        we = w, ge = g;
    }
    show_lines('-', want, we);
    show_lines('+', got, ge);
}
static int bless(const test *t, const char *got)
{
    char aside[4096];
    snprintf(aside, sizeof aside, "%s.new", t->path);
    FILE *f = fopen(aside, "wb");
    if (!f) return run_fail(t, "%s cannot be written: %s", aside, strerror(errno));
    size_t head = t->split;
    bool good = fwrite(t->text, 1, head, f) == head;
    if (head == t->n) good &= fprintf(f, "%s---\n", t->n && t->text[t->n - 1] != '\n' ? "\n" : "") > 0;
    good &= fputs(got, f) >= 0;
    good &= fclose(f) == 0;
    if (!good || rename(aside, t->path) != 0) return run_fail(t, "cannot be rewritten: %s", strerror(errno));
    return PASSED;
}

int run_expect(const test *t, const char *got)
{
    if (strcmp(t->text + t->split, got) == 0) return PASSED;
    if (t->bless) return bless(t, got);
    run_fail(t, "another text than expected");
    show_diff(t->text + t->split, got);
    return FAILED;
}

/* ---- what is under test */
np_mod *run_parse(const test *t, np_cx *cx, bool plain)
{
    size_t n = t->split < t->n ? t->split - 4 : t->n;
    np_mod *m = (plain ? np_parse_plain : np_parse)(cx, t->path, t->text, n);
    if (m) np_same_weights(m);
    else np_diag_print(cx, NP_ERROR, stdout);
    return m;
}
/* 0 if it does not apply to this build. */
static int transform(const test *t, np_mod *m)
{
    if (strcmp(t->kind, "parse") == 0) return 1;
    if (strcmp(t->kind, "stream") == 0) return np_stream_derive(m) == NP_OK;
    if (strcmp(t->kind, "reassoc") == 0) {
        np_mod_put(m, np_reassoc_causal(np_mod_fn(m, "main")));
        return 1;
    }
    const np_pass *p = np_pass_find(t->pass);
    if (strcmp(t->kind, "pass") != 0 || !p) return 0;
    np_pipeline_opts o = {.knobs = t->knobs};
    for (int i = 0; i < m->nfns; i++)
        if (m->fn[i]->stage == p->in) np_mod_put(m, np_pipeline_pass(m->fn[i], p, &o));
    return 1;
}
static int compare_case(const test *t, np_mod *before, np_mod *after, const char *line)
{
    double tol = 1e-9, v;
    np_env e = {0};
    np_text why = {0};
    const np_dim **sym;
    int n = np_dim_syms(before->cx, &sym), r = PASSED;
    run_setting(line, "tol", &tol);
    for (int i = 0; i < n; i++)
        if (run_setting(line, sym[i]->name, &v)) np_env_set(&e, sym[i], (int64_t)v);
    np_same_env(before->cx, &e);
    for (int i = 0; i < before->nfns && r == PASSED; i++) {
        const np_fn *f = before->fn[i], *g = np_mod_fn(after, f->name);
        if (strcmp(t->kind, "stream") == 0 && strcmp(f->name, "main") == 0) g = np_mod_fn(after, "whole");
        if (g && !np_same_answers(f, g, &e, 1, tol, &why)) r = run_fail(t, "%s", why.s);
    }
    np_text_free(&why);
    return r;
}
/* Streamed: the whole is the same whether it comes at once, in two pieces or step by step. */
static int compare_pieces(const test *t, np_mod *m, const char *line)
{
    const np_fn *main = np_mod_fn(m, "main");
    np_tensor in[64];
    np_text why = {0};
    double tol = 1e-9, v;
    np_env e = {0};
    const np_dim **sym;
    int r = PASSED;
    run_setting(line, "tol", &tol);
    for (int i = 0, n = np_dim_syms(m->cx, &sym); i < n; i++)
        if (run_setting(line, sym[i]->name, &v)) np_env_set(&e, sym[i], (int64_t)v);
    np_same_env(m->cx, &e);
    int64_t len = 1;
    for (int i = 0; i < e.n; i++)
        if (e.sym[i]->role == NP_ROLE_TIME) len = e.value[i];
    const int64_t pieces[][2] = {{len, len}, {1, 1}, {len / 2 > 0 ? len / 2 : 1, len}, {2, 1}};
    if (main->ninputs > (int)NP_LEN(in) || !np_same_inputs(main, &e, 1, in)) return run_fail(t, "a size of an input has no value");
    for (int i = 0; i < (int)NP_LEN(pieces) && r == PASSED; i++)
        if (!np_same_pieces(m, in, 2, pieces[i], tol, &why)) r = run_fail(t, "%s", why.s);
    for (int i = 0; i < main->ninputs; i++) np_tensor_free(&in[i]);
    np_text_free(&why);
    return r;
}
/* What is derived goes through all passes, each compared with the one before it. */
static int compare_stages(const test *t, const np_mod *m)
{
    np_pipeline_opts o = {.knobs = t->knobs, .eval = true};
    for (int i = 0; i < m->nfns; i++)
        if (strcmp(m->fn[i]->name, "main") != 0) np_fn_free(np_pipeline_run(m->fn[i], &o));
    if (!m->cx->nerrors) return PASSED;
    np_diag_print(m->cx, NP_ERROR, stdout);
    return run_fail(t, "a pass changes the answer");
}
static int compare_answers(const test *t, np_mod *before, np_mod *after)
{
    const char *p = t->text, *end = t->text + t->split;
    int r = PASSED;
    while (r == PASSED && (p = run_header(p, end, "eval:"))) {
        r = compare_case(t, before, after, p);
        if (r == PASSED && strcmp(t->kind, "stream") == 0 && np_mod_fn(after, "step")) r = compare_pieces(t, after, p);
        p = strchr(p, '\n');
        if (p) p++;
    }
    return r == PASSED && strcmp(t->kind, "stream") == 0 ? compare_stages(t, after) : r;
}
static int check_notes(const test *t, const np_cx *cx)
{
    const char *p = t->text, *end = t->text + t->split;
    int r = PASSED;
    while ((p = run_header(p, end, "note: "))) {
        char want[512];
        bool said = false;
        snprintf(want, sizeof want, "%.*s", (int)strcspn(p, "\n"), p);
        for (int i = 0; i < cx->ndiags; i++) said |= cx->diag[i].level == NP_NOTE && strstr(cx->diag[i].text, want);
        if (!said) r = run_fail(t, "no note says: %s", want);
    }
    return r;
}
/* The law: the text of the text is the text. */
static int check_law(const test *t, const char *text)
{
    np_cx *cx = np_cx_new();
    np_mod *m = np_parse(cx, t->path, text, strlen(text));
    np_text again = {0};
    int r = PASSED;
    if (m) np_print_mod(&again, m, (np_print_opts){0});
    if (!m || strcmp(again.s ? again.s : "", text) != 0) {
        r = run_fail(t, "what was printed reads back differently");
        np_diag_print(cx, NP_ERROR, stdout);
        if (m) show_diff(text, again.s ? again.s : "");
    }
    np_text_free(&again);
    np_mod_free(m);
    np_cx_free(cx);
    return r;
}
static int run_text(test *t)
{
    np_cx *cx = np_cx_new(), *cx0 = np_cx_new();
    bool parsing = strcmp(t->kind, "parse") == 0;
    np_mod *after = run_parse(t, cx, false), *before = after ? run_parse(t, cx0, parsing) : NULL;
    np_text got = {0};
    int r = PASSED;
    if (!after || !before) r = run_fail(t, "cannot be read");
    else if (!transform(t, after)) r = SKIPPED;
    if (r == PASSED) r = compare_answers(t, before, after);
    if (r == PASSED) r = check_notes(t, cx);
    if (r == PASSED) np_print_mod(&got, after, (np_print_opts){0});
    if (r == PASSED) r = check_law(t, got.s ? got.s : "");
    if (r == PASSED) r = run_expect(t, got.s ? got.s : "");
    np_text_free(&got);
    np_mod_free(after), np_mod_free(before);
    np_cx_free(cx), np_cx_free(cx0);
    return r;
}
static int run_file(const char *path, bool blessing)
{
    test t = {.path = path, .bless = blessing};
    t.text = read_file(path, &t.n);
    if (!t.text) return run_fail(&t, "cannot be read");
    read_header(&t);
    bool code = strcmp(t.kind, "emit") == 0 || strcmp(t.kind, "conform") == 0;
    int r = code ? run_code(&t) : *t.kind ? run_text(&t) : strstr(t.text, "#!") ? run_bad(&t) : run_fail(&t, "neither `# test:` nor `#!`");
    free(t.text);
    return r;
}

/* ---- files and folders */
typedef struct counts {
    int passed, failed, skipped;
    bool bless;
    const char *only;
} counts;
static void run_alone(counts *c, const char *path)
{
    int status = 0;
    if (c->only && !strstr(path, c->only)) return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) exit(run_file(path, c->bless));
    if (child < 0 || waitpid(child, &status, 0) < 0) status = 256 * FAILED;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == PASSED) c->passed++;
    else if (code == SKIPPED) c->skipped++;
    else c->failed++;
    if (code != PASSED && code != FAILED && code != SKIPPED)
        printf("FAIL %s: it ended with %s %d\n", path, code < 0 ? "signal" : "status", code < 0 ? WTERMSIG(status) : code);
}
static bool is_test(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".np") == 0;
}
static void run_path(counts *c, const char *path, int depth)
{
    struct stat st;
    struct dirent **list;
    if (stat(path, &st) != 0) {
        printf("FAIL %s: %s\n", path, strerror(errno));
        c->failed++;
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        run_alone(c, path);
        return;
    }
    int n = depth < 8 ? scandir(path, &list, NULL, alphasort) : 0;
    for (int i = 0; i < n; i++) {
        np_text sub = {0};
        np_text_add(&sub, "%s/%s", path, list[i]->d_name);
        bool dir = list[i]->d_name[0] != '.' && stat(sub.s, &st) == 0 && S_ISDIR(st.st_mode);
        if (dir || is_test(list[i]->d_name)) run_path(c, sub.s, depth + 1);
        np_text_free(&sub);
        free(list[i]);
    }
    if (n > 0) free(list);
}
int main(int argc, char **argv)
{
    counts c = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bless") == 0) c.bless = true;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) c.only = argv[++i];
        else run_path(&c, argv[i], 0);
    }
    printf("%d passed, %d failed, %d skipped\n", c.passed, c.failed, c.skipped);
    return c.failed != 0;
}
