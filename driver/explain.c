/* neap explain: what became of a model and why: what it remembers, what every
 * pass noted, which groups there are, and where everything lies in memory. */
#include "driver.h"

#include <inttypes.h>
#include <string.h>

static double bytes_of(np_cx *cx, const np_type *t)
{
    int64_t lo, hi;
    np_dim_range(np_type_count(cx, t), &lo, &hi);
    return (double)hi * np_dtype_size(t->dtype);
}

static void print_weights(const np_mod *m)
{
    double numbers = 0, stored = 0;
    int n = 0;
    for (int i = 0; i < m->nweights; i++) {
        const np_weight *w = m->weight[i];
        double count = bytes_of(m->cx, w->type) / np_dtype_size(w->type->dtype);
        if (w->from) continue;
        n++;
        numbers += count;
        stored += count * np_dtype_size(w->data ? w->stored : w->type->dtype);
    }
    printf("weights: %d tensors, %.0f numbers, %.0f bytes%s\n", n, numbers, stored,
           n && !m->weight[0]->data ? " (not loaded)" : "");
}

static void print_states(np_cx *cx, const np_fn *prefill)
{
    double sum = 0;
    printf("state: %d tensors\n", prefill->nstates);
    for (int i = 0; i < prefill->nstates; i++) {
        const np_node *p = prefill->top.param[prefill->ninputs + i];
        double bytes = bytes_of(cx, p->type);
        sum += bytes;
        printf("  %-40s %-24s at most %.0f bytes\n", p->name, np_type_str(cx, p->type), bytes);
    }
    printf("  at most %.0f bytes in all\n", sum);
}

/* Do two notes say the same of different layers? Digits aside, they are equal. */
static bool alike(const char *a, const char *b)
{
    for (; a && b && *a && *b; a++, b++) {
        while (*a >= '0' && *a <= '9') a++;
        while (*b >= '0' && *b <= '9') b++;
        if (*a != *b) return false;
        if (!*a) return true;
    }
    return a && b ? !*a && !*b : a == b;
}
static bool same_note(const np_diag *a, const np_diag *b)
{
    return a->level == NP_NOTE && b->level == NP_NOTE && a->pass == b->pass && a->loc.line == b->loc.line &&
           alike(a->loc.file, b->loc.file) && alike(a->text, b->text) && alike(a->loc.scope, b->loc.scope);
}
/* Notes of one pass stand together, in the order in which passes first spoke; what is said of many layers is said once. */
static void print_note(np_cx *cx, int i)
{
    const np_diag *d = &cx->diag[i];
    int more = 0;
    for (int k = 0; k < i; k++)
        if (same_note(&cx->diag[k], d)) return;
    for (int k = i + 1; k < cx->ndiags; k++) more += same_note(&cx->diag[k], d);
    printf("  %s: ", d->pass ? d->pass : "neap");
    if (d->loc.line) printf("%s:%d: ", d->loc.file, d->loc.line);
    printf("%s", d->text);
    if (d->loc.scope && *d->loc.scope) printf(" (in %s)", d->loc.scope);
    if (more) printf(", and %d more like it", more);
    printf("\n");
}
static void print_notes(np_cx *cx)
{
    printf("notes\n");
    for (int i = 0; i < cx->ndiags; i++) {
        bool first = cx->diag[i].level == NP_NOTE;
        for (int k = 0; k < i && first; k++)
            first = cx->diag[k].level != NP_NOTE || cx->diag[k].pass != cx->diag[i].pass;
        for (int k = i; k < cx->ndiags && first; k++)
            if (cx->diag[k].level == NP_NOTE && cx->diag[k].pass == cx->diag[i].pass) print_note(cx, k);
    }
}

/* ---- passes over memory */
enum { ENTRIES = 4, SHOWN = 512 }; /* sizes that are not limited to less are shown as if they were this */
typedef struct traffic_of {        /* what was seen after fuse, until all is printed */
    np_arena mem;
    int n;
    struct {
        np_str entry;
        np_traffic t;
    } of[ENTRIES];
    np_fn *keep[ENTRIES]; /* a copy: rows point into it */
} traffic_of;

static void see(void *env, const np_pass *p, const np_fn *f)
{
    traffic_of *s = env;
    if (strcmp(p->name, "fuse") != 0 || s->n == ENTRIES) return;
    s->keep[s->n] = np_fn_copy(f);
    s->of[s->n].entry = f->name;
    s->of[s->n].t = np_fuse_traffic(s->keep[s->n], &s->mem);
    s->n++;
}
/* The size that bytes are shown for: as many steps and positions before them as may be. */
static np_env shown_sizes(np_cx *cx)
{
    const np_dim **sym;
    np_env e = {0};
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n && e.n < (int)NP_LEN(e.sym); i++)
        np_env_set(&e, sym[i], sym[i]->hi < SHOWN ? sym[i]->hi : SHOWN);
    return e;
}
static double number_of(const np_dim *d, const np_env *e)
{
    int64_t v;
    return np_dim_eval(d, e, &v) ? (double)v : 0;
}
static bool is_constant(const np_dim *d)
{
    int64_t v;
    return np_dim_int(d, &v);
}
/* What a value is called: by its name, else by the group that made it. */
static void add_name(np_text *t, const np_node *x)
{
    const np_node *n = x->op == NP_PICK ? x->arg[0] : x;
    if (x->op == NP_WEIGHT)
        np_text_add(t, "$%s", x->sym);
    else if (n->op == NP_GROUP)
        np_text_add(t, "%s", n->sym);
    else
        np_text_add(t, "%s", x->name ? x->name : np_op_info(x->op)->text);
}
static void add_types(np_text *t, np_cx *cx, const np_node *g)
{
    for (int i = 0; i < np_result_count(g); i++)
        np_text_add(t, "%s%s", i ? " " : "", np_type_str(cx, np_result_type(g, i)));
}
static void print_row(np_cx *cx, const np_traffic_row *r, const np_env *e)
{
    np_text t = {0};
    const np_node *g = r->group;
    np_text_add(&t, "%*s%s", 2 + 2 * r->depth, "", g->sym ? g->sym : "-");
    if (r->depth) np_text_add(&t, ", %s times", np_dim_str(cx, r->times));
    printf("%-42s %12.0f %12.0f  ", t.s, number_of(r->read, e), number_of(r->write, e));
    np_text_free(&t);
    printf("%-26s ", np_dim_str(cx, np_dim_add(cx, r->read, r->write)));
    t = (np_text){0};
    if (g->loc.line) np_text_add(&t, "%s:%d: ", g->loc.file, g->loc.line);
    for (int i = r->nreads - 1; i >= 0; i--) {
        if (r->reads[i].x->op == NP_CONST) continue;
        add_name(&t, r->reads[i].x);
        np_text_add(&t, " ");
    }
    np_text_add(&t, "-> ");
    add_types(&t, cx, g);
    printf("%s\n", t.s);
    np_text_free(&t);
}
static void print_total(np_cx *cx, const char *what, const np_dim *d, const np_env *e)
{
    printf("  %-24s %14.0f bytes", what, number_of(d, e));
    if (!is_constant(d)) printf("  = %s", np_dim_str(cx, d));
    printf("\n");
}
static void print_sizes(np_cx *cx, const np_traffic *t)
{
    const np_dim *all = np_dim_add(cx, t->read, t->write);
    np_env e = shown_sizes(cx);
    const char *before = " at ";
    for (int i = 0; i < e.n; i++) {
        if (!np_dim_has(all, e.sym[i])) continue;
        printf("%s%s=%lld", before, e.sym[i]->name, (long long)e.value[i]);
        before = " ";
    }
}
static void print_traffic(np_cx *cx, const np_traffic *t)
{
    np_env e = shown_sizes(cx);
    const np_dim *all = np_dim_add(cx, t->read, t->write);
    int passes = 0;
    for (int i = 0; i < t->n; i++) passes += t->row[i].depth == 0;
    if (passes == 0) return;
    printf("  %d pass%s over memory, bytes", passes, passes == 1 ? "" : "es");
    print_sizes(cx, t);
    printf("\n%-42s %12s %12s  %-26s %s\n", "  pass", "read", "written", "both", "what");
    for (int i = 0; i < t->n; i++) print_row(cx, &t->row[i], &e);
    print_total(cx, "moved in all", all, &e);
    print_total(cx, "the least there is", t->least, &e);
    double least = number_of(t->least, &e);
    if (least > 0) printf("  %-24s %14.2f\n", "ratio", number_of(all, &e) / least);
}

/* A group is what is computed together: a kernel of the generated code, unless it is equal to another. */
static void print_entry(const np_fn *f, const traffic_of *s)
{
    np_text t = {0};
    int groups = 0;
    for (const np_node *n = f->top.first; n; n = n->next) groups += n->op == NP_GROUP;
    printf("\nentry @%s: %d groups, %u nodes, %" PRId64 " bytes of work memory\n", f->name, groups, f->nnodes,
           f->work);
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->of[i].entry, f->name) == 0) print_traffic(f->cx, &s->of[i].t);
    np_place_report(f, &t);
    printf("%s", t.s ? t.s : "");
    np_text_free(&t);
}

static np_status explain(np_job *j, traffic_of *s)
{
    np_cx *cx = j->cx;
    j->see = see, j->env = s;
    if (np_job_find(j) || np_job_load(j, 0, NULL)) return NP_FAIL;
    if (j->checkpoint && np_job_weights(j)) return NP_FAIL;
    if (np_job_derive(j, NP_INIT | NP_PREFILL | NP_STEP)) return NP_FAIL;
    const np_fn *prefill = np_job_plain(j, "prefill");
    if (!prefill && np_job_derive(j, NP_WHOLE)) return NP_FAIL;
    if (np_job_lower(j)) return NP_FAIL;
    const np_mod *m = j->model->mod;
    printf("model %s\n", j->model->name);
    if (j->checkpoint) printf("checkpoint: %s (%s)\n", j->checkpoint->path, j->checkpoint->format);
    print_weights(m);
    if (prefill)
        print_states(cx, prefill);
    else
        printf("no step: %s\n", np_job_why_whole(j));
    print_notes(cx);
    for (int i = 0; i < m->nfns; i++) print_entry(m->fn[i], s);
    return NP_OK;
}

int np_explain_main(np_cx *cx, const np_options *o)
{
    np_job j = {.cx = cx, .o = o};
    traffic_of s = {0};
    np_status st = explain(&j, &s);
    for (int i = 0; i < s.n; i++) np_fn_free(s.keep[i]);
    np_arena_free(&s.mem);
    np_job_free(&j);
    return st ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
