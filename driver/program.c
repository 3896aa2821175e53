/* From a module to what a backend takes: the entries that are wanted, lowered
 * by all passes, and the C texts that go with them. */
#include "driver.h"

#include <string.h>
#include <unistd.h>

enum {
    BLOCK = 64,
    ENDLESS = 1 << 28
}; /* positions of one prefill call; more than any memory of positions holds */

static const struct {
    const char *name;
    int bit;
} entries[] = {{"init", NP_INIT}, {"prefill", NP_PREFILL}, {"step", NP_STEP}, {"whole", NP_WHOLE}};

const np_dim *np_job_symbol(np_cx *cx, np_role role)
{
    const np_dim **sym;
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n; i++)
        if (sym[i]->role == role) return sym[i];
    return NULL;
}

/* ---- entries */
np_fn *np_job_plain(const np_job *j, const char *entry)
{
    for (int i = 0; i < j->nplain; i++)
        if (strcmp(j->plain[i]->name, entry) == 0) return j->plain[i];
    return NULL;
}

np_str np_job_why_whole(const np_job *j)
{
    static const char head[] = "no step: "; /* of the note */
    for (int i = 0; i < j->cx->ndiags; i++) {
        const np_diag *d = &j->cx->diag[i];
        bool that = d->level == NP_NOTE && d->pass && strcmp(d->pass, "stream") == 0;
        if (that && strncmp(d->text, head, sizeof head - 1) == 0) return d->text + sizeof head - 1;
    }
    return "no axis of it is time";
}

np_status np_job_derive(np_job *j, int wanted)
{
    np_mod *m = j->model->mod;
    if (np_stream_derive(m)) return NP_FAIL;
    for (size_t i = 0; i < NP_LEN(entries); i++) {
        np_fn *f = wanted & entries[i].bit ? np_mod_fn(m, entries[i].name) : NULL;
        if (f) j->plain[j->nplain++] = np_fn_copy(f);
    }
    return NP_OK;
}

/* Is the room for what it remembers bounded? Time is narrowed to what one call takes. */
static np_status bound(np_job *j)
{
    np_cx *cx = j->cx;
    const np_dim *T = np_job_symbol(cx, NP_ROLE_TIME), *N = np_job_symbol(cx, NP_ROLE_PAST);
    const np_fn *f = np_job_plain(j, "prefill");
    bool every = T && !f && T->hi > ENDLESS; /* needs all positions at once */
    for (int i = 0; f && N && N->hi > ENDLESS && i < f->nstates; i++) {
        const np_type *t = f->top.param[f->ninputs + i]->type;
        for (int k = 0; k < t->rank; k++) every |= np_dim_has(t->dim[k], N);
    }
    if (every) {
        np_error(cx, (np_loc){.file = j->path},
                 "the model needs memory for every position and names no limit: --context N says how many "
                 "there can be");
        return NP_FAIL;
    }
    if (T && f && !np_job_plain(j, "whole") && T->hi > BLOCK)
        np_dim_declare(cx, T, T->lo, BLOCK, NP_ROLE_TIME);
    return NP_OK;
}

/* ---- the chunk */
static void see_scan(void *env, const np_node *n)
{
    int64_t seq = 0;
    if (n->op == NP_SCAN && np_dim_int(n->attr[0], &seq) && seq < n->nargs) *(bool *)env = true;
}

bool np_job_scans(const np_job *j)
{
    bool any = false;
    for (int i = 0; i < j->nplain; i++) np_fn_walk(j->plain[i], see_scan, &any);
    return any;
}

/* What passes are told; who asked for what cannot be is told so. */
static int chunk(const np_job *j)
{
    const np_dim *T = np_job_symbol(j->cx, NP_ROLE_TIME);
    np_loc loc = {.file = np_str_new(j->cx, "--chunk")};
    if (j->chunk > 0 && !np_job_scans(j)) {
        np_warn(j->cx, loc, "%d: the model has no scan with a state, so nothing is cut into chunks",
                j->chunk);
    } else if (T && j->chunk > 1 && j->chunk > T->hi) {
        int most = T->hi > 1 ? (int)T->hi : 1;
        np_warn(j->cx, loc, "%d: there %s at most %d step%s at once; the chunk is cut to %d", j->chunk,
                most == 1 ? "is" : "are", most, most == 1 ? "" : "s", most);
        return most;
    }
    return j->chunk;
}

/* A scan that goes step by step though chunks were asked for: the reason is told, once for each. */
static void say_step_forms(np_job *j)
{
    np_cx *cx = j->cx;
    int n = cx->ndiags;
    for (int i = 0; i < n && j->o->chunk > 1; i++) {
        const np_diag *d = &cx->diag[i];
        const char *why = d->level == NP_NOTE && d->pass && strcmp(d->pass, "chunk") == 0
                              ? strstr(d->text, "step form (chunk 1): ")
                              : NULL;
        bool said = false;
        for (int k = n; why && k < cx->ndiags; k++)
            said |= cx->diag[k].loc.file == d->loc.file && cx->diag[k].loc.line == d->loc.line;
        if (why && !said) np_warn(cx, d->loc, "--chunk %d: a scan keeps its %s", (int)j->o->chunk, why);
    }
}

/* ---- passes */
static np_status knobs(np_job *j, np_knobs *k)
{
    j->target = np_target_find(j->cx, j->o->target ? j->o->target : "generic");
    if (!j->target || bound(j)) return NP_FAIL;
    *k = (np_knobs){.lanes = j->target->lanes, .rows = j->target->rows, .chunk = chunk(j), .abreast = j->abreast};
    return NP_OK;
}

np_status np_job_form(np_job *j)
{
    np_pipeline_opts o = {0};
    if (knobs(j, &o.knobs)) return NP_FAIL;
    for (int i = 0; i < j->nplain; i++) {
        np_fn_free(j->form[i]);
        j->form[i] = np_fn_copy(j->plain[i]);
        for (const np_pass *p = np_passes; p->out == NP_STAGE_TENSOR; p++) {
            np_fn *next = np_pipeline_pass(j->form[i], p, &o);
            np_fn_free(j->form[i]);
            j->form[i] = next;
        }
    }
    say_step_forms(j);
    return NP_OK;
}

np_status np_job_lower(np_job *j)
{
    const np_options *o = j->o;
    np_mod *m = j->model->mod;
    np_pipeline_opts p = {.print_before = o->print_before,
                          .print_after = o->print_after,
                          .time = o->time,
                          .eval = o->eval,
                          .see = j->see,
                          .env = j->env};
    if (knobs(j, &p.knobs)) return NP_FAIL;
    while (m->nfns) np_mod_drop(m, m->fn[m->nfns - 1]->name);
    for (int i = 0; i < j->nplain; i++) np_mod_put(m, np_pipeline_run(j->plain[i], &p));
    j->lowered = true;
    say_step_forms(j);
    return j->cx->nerrors ? NP_FAIL : NP_OK;
}

/* ---- the runtime's text: its files in the order that np_rt.h gives */
#define FILES(X) X(model) X(token) X(sample) X(file) X(state) X(perplexity)
#define MAIN_FILES(X) X(machine) X(args) X(text) X(logits) X(main)
#define DECLARE(name) extern const char np_embed_runtime_rt_##name##_c[];
#define LIST(name) np_embed_runtime_rt_##name##_c,
FILES(DECLARE)
MAIN_FILES(DECLARE)
static const char *const files[] = {FILES(LIST)}, *const main_files[] = {MAIN_FILES(LIST)};

/* ---- the program */
static np_str base_name(np_cx *cx, const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/') from--;
    return np_str_len(cx, path + from, n - from);
}

/* Says what it was made from, but not where that lay: the same inputs give the same bytes anywhere. */
static np_str title(const np_job *j)
{
    np_text t = {0};
    np_text_add(&t, "%s", j->model->name);
    if (j->checkpoint) np_text_add(&t, ", weights %s", base_name(j->cx, j->checkpoint->path));
    if (j->vocab) np_text_add(&t, ", tokenizer %s", base_name(j->cx, j->vocab_path));
    for (int i = 0; i < j->set.n; i++) {
        const np_setting *s = &j->set.s[i];
        np_text_add(&t,
                    s->kind == NP_SET_STR    ? ", %s=%s"
                    : s->kind == NP_SET_LIST ? ", %s=[..]"
                                             : ", %s=",
                    s->key, s->str);
        if (s->kind == NP_SET_NUM) np_text_add(&t, "%.12g", s->num);
        if (s->kind == NP_SET_BOOL) np_text_add(&t, s->num != 0 ? "true" : "false");
    }
    np_str out = np_str_new(j->cx, t.s);
    np_text_free(&t);
    return out;
}

/* Is it [T], or [T,V], maybe after a batch of one? */
static bool over_time(const np_job *j, const np_type *t, int more)
{
    int lead = t->rank == more + 2 && np_dim_is(t->dim[0], 1);
    return t->rank == lead + 1 + more && t->dim[lead] == np_job_symbol(j->cx, NP_ROLE_TIME);
}

static const np_type *logits_of(const np_fn *f)
{
    for (int i = 0; i < f->nouts; i++)
        if (strcmp(f->out_name[i], "logits") == 0) return f->out_type[i];
    return NULL;
}

bool np_job_speaks(const np_job *j)
{
    const np_fn *f = np_job_plain(j, "prefill");
    if (!f || f->ninputs != 1 || strcmp(f->top.param[0]->name, "tokens") != 0) return false;
    if (!over_time(j, f->top.param[0]->type, 0)) return false;
    const np_type *t = logits_of(f);
    return t && t->dtype == NP_F32 && over_time(j, t, 1);
}

np_status np_job_need_speech(const np_job *j)
{
    bool streams = np_job_plain(j, "prefill") != NULL;
    if (np_job_speaks(j)) return NP_OK;
    np_error(j->cx, (np_loc){.file = j->path},
             "a program reads and writes text, which takes a model from tokens [T] to logits [T,V] that goes "
             "step by step%s%s; --emit lib makes any model a library",
             streams ? "" : ", and this one cannot: ", streams ? "" : np_job_why_whole(j));
    return NP_FAIL;
}

np_status np_job_tokenizer(np_job *j, bool speaks)
{
    np_cx *cx = j->cx;
    np_loc loc = {.file = j->path};
    bool bytes = j->model->tokenizer && strcmp(j->model->tokenizer, "bytes") == 0;
    const char *given = j->o->tokenizer;
    if (given && (bytes || !speaks)) {
        np_error(cx, loc,
                 speaks ? "the model reads bytes; there is no place for a tokenizer"
                        : "the model reads no text; there is no place for a tokenizer");
        return NP_FAIL;
    }
    if (!speaks || bytes) return NP_OK;
    j->vocab_path = given           ? np_str_new(cx, given)
                    : j->checkpoint ? np_str_fmt(cx, "%s/tokenizer.bin", j->checkpoint->dir)
                                    : NULL;
    if (!given && (!j->vocab_path || access(j->vocab_path, F_OK) != 0)) {
        np_warn(cx, loc,
                "no tokenizer: the program reads and prints ids; --tokenizer PATH (llama2.c's format) gives "
                "them texts");
        return NP_OK;
    }
    const np_type *t = logits_of(np_job_plain(j, "prefill"));
    int64_t n = -1;
    np_dim_int(t->dim[t->rank - 1], &n);
    j->vocab = np_vocab_read(cx, j->vocab_path, n);
    return j->vocab ? NP_OK : NP_FAIL;
}

np_status np_job_program(np_job *j, bool main, np_program *out)
{
    np_cx *cx = j->cx;
    np_text code = {0}, data = {0};
    np_status st = NP_OK;
    *out = (np_program){.mod = j->model->mod,
                        .target = j->target,
                        .name = j->model->name,
                        .title = title(j),
                        .main = main,
                        .source = j->model->source};
    np_text_put(&code, "", 0);
    np_text_put(&data, "", 0);
    if (np_job_speaks(j)) {
        for (size_t i = 0; i < NP_LEN(files); i++) np_text_add(&code, "%s\n", files[i]);
        for (size_t i = 0; main && i < NP_LEN(main_files); i++) np_text_add(&code, "%s\n", main_files[i]);
        st = np_textdata_put(j, &data);
    }
    out->runtime = np_arena_copy(&cx->perm, code.s, code.n + 1);
    out->data = np_arena_copy(&cx->perm, data.s, data.n + 1);
    np_text_free(&code);
    np_text_free(&data);
    return st;
}
