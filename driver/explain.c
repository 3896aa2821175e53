/* neap explain: what became of a model and why: what it remembers, what every
 * pass noted, which passes over memory there are, and where everything lies in it. */
#include "explain.h"

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
        if (w->by) continue;
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
static void find_notes(np_explain *e)
{
    const np_cx *cx = e->job->cx;
    e->note = np_arena_array(&e->mem, (size_t)cx->ndiags + 1, sizeof *e->note);
    for (int i = 0; i < cx->ndiags; i++) {
        const np_diag *d = &cx->diag[i];
        int k = 0, at;
        while (k < e->nnotes && !same_note(e->note[k].d, d)) k++;
        if (k < e->nnotes) e->note[k].more++;
        if (k < e->nnotes || d->level != NP_NOTE) continue;
        for (at = e->nnotes; at > 0 && e->note[at - 1].d->pass != d->pass;) at--;
        if (at == 0) at = e->nnotes; /* the first of its pass */
        memmove(e->note + at + 1, e->note + at, (size_t)(e->nnotes - at) * sizeof *e->note);
        e->note[at] = (np_explain_note){.d = d};
        e->nnotes++;
    }
}
static void print_notes(const np_explain *e)
{
    printf("notes\n");
    for (int i = 0; i < e->nnotes; i++) {
        const np_diag *d = e->note[i].d;
        printf("  %s: ", d->pass ? d->pass : "neap");
        if (d->loc.line) printf("%s:%d: ", d->loc.file, d->loc.line);
        printf("%s", d->text);
        if (d->loc.scope && *d->loc.scope) printf(" (in %s)", d->loc.scope);
        if (e->note[i].more) printf(", and %d more like it", e->note[i].more);
        printf("\n");
    }
}

/* ---- passes over memory */
enum { SHOWN = 512 }; /* sizes that are not limited to less are shown as if they were this */
static void see(void *env, const np_pass *p, const np_fn *f)
{
    np_explain *e = env;
    if (strcmp(p->name, "fuse") != 0 || e->n == NP_EXPLAIN_ENTRIES) return;
    e->fused[e->n] = np_fn_copy(f);
    e->traffic[e->n] = np_fuse_traffic(e->fused[e->n], &e->mem);
    e->n++;
}
/* As many steps and positions before them as may be, up to a limit. */
static np_env shown_sizes(np_cx *cx)
{
    const np_dim **sym;
    np_env e = {0};
    for (int i = 0, n = np_dim_syms(cx, &sym); i < n && e.n < (int)NP_LEN(e.sym); i++)
        np_env_set(&e, sym[i], sym[i]->hi < SHOWN ? sym[i]->hi : SHOWN);
    return e;
}
double np_explain_number(const np_explain *e, const np_dim *d)
{
    int64_t v;
    return np_dim_eval(d, &e->shown, &v) ? (double)v : 0;
}
int np_explain_passes(const np_traffic *t)
{
    int n = 0;
    for (int i = 0; i < t->n; i++) n += t->row[i].depth == 0;
    return n;
}
void np_explain_add_where(np_text *t, const np_traffic_row *r)
{
    if (r->group && r->group->loc.line) np_text_add(t, "%s:%d", r->group->loc.file, r->group->loc.line);
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
void np_explain_add_what(const np_explain *e, np_text *t, const np_traffic_row *r)
{
    for (int i = r->nreads - 1; i >= 0; i--) {
        if (r->reads[i].x->op == NP_CONST) continue;
        add_name(t, r->reads[i].x);
        np_text_add(t, " ");
    }
    np_text_add(t, "->");
    for (int i = 0; r->group && i < np_result_count(r->group); i++)
        np_text_add(t, " %s", np_type_str(e->job->cx, np_result_type(r->group, i)));
}
void np_explain_add_sizes(const np_explain *e, np_text *t, const np_traffic *of)
{
    const np_dim *all = np_dim_add(e->job->cx, of->read, of->write);
    const char *before = " at ";
    for (int i = 0; i < e->shown.n; i++) {
        if (!np_dim_has(all, e->shown.sym[i])) continue;
        np_text_add(t, "%s%s=%" PRId64, before, e->shown.sym[i]->name, e->shown.value[i]);
        before = " ";
    }
}
static void print_row(const np_explain *e, const np_traffic_row *r)
{
    np_cx *cx = e->job->cx;
    np_text name = {0}, what = {0};
    np_text_add(&name, "%*s%s", 2 + 2 * r->depth, "", r->name ? r->name : "-");
    if (r->depth) np_text_add(&name, ", %s times", np_dim_str(cx, r->times));
    np_explain_add_where(&what, r);
    if (what.n) np_text_add(&what, ": ");
    np_explain_add_what(e, &what, r);
    printf("%-42s %12.0f %12.0f  %-26s %s\n", name.s, np_explain_number(e, r->read),
           np_explain_number(e, r->write), np_dim_str(cx, np_dim_add(cx, r->read, r->write)), what.s);
    np_text_free(&name);
    np_text_free(&what);
}
static void print_total(const np_explain *e, const char *what, const np_dim *d)
{
    int64_t v;
    printf("  %-24s %14.0f bytes", what, np_explain_number(e, d));
    if (!np_dim_int(d, &v)) printf("  = %s", np_dim_str(e->job->cx, d));
    printf("\n");
}
static void print_traffic(const np_explain *e, const np_traffic *t)
{
    const np_dim *all = np_dim_add(e->job->cx, t->read, t->write);
    int passes = np_explain_passes(t);
    np_text sizes = {0};
    if (passes == 0) return;
    np_explain_add_sizes(e, &sizes, t);
    printf("  %d pass%s over memory, bytes%s\n", passes, passes == 1 ? "" : "es", sizes.s ? sizes.s : "");
    np_text_free(&sizes);
    printf("%-42s %12s %12s  %-26s %s\n", "  pass", "read", "written", "both", "what");
    for (int i = 0; i < t->n; i++) print_row(e, &t->row[i]);
    print_total(e, "moved in all", all);
    print_total(e, "the least there is", t->least);
    double least = np_explain_number(e, t->least);
    if (least > 0) printf("  %-24s %14.2f\n", "ratio", np_explain_number(e, all) / least);
}

/* A group is what is computed together: a kernel of the generated code, unless it is equal to another. */
static void print_entry(const np_explain *e, const np_fn *f)
{
    np_text t = {0};
    int groups = 0;
    for (const np_node *n = f->top.first; n; n = n->next) groups += n->op == NP_GROUP;
    printf("\nentry @%s: %d groups, %u nodes, %" PRId64 " bytes of work memory\n", f->name, groups, f->nnodes,
           f->work);
    for (int i = 0; i < e->n; i++)
        if (strcmp(e->fused[i]->name, f->name) == 0) print_traffic(e, &e->traffic[i]);
    np_place_report(f, &t);
    printf("%s", t.s ? t.s : "");
    np_text_free(&t);
}

static np_status explain(np_explain *e)
{
    np_job *j = e->job;
    j->see = see, j->env = e;
    if (np_job_find(j) || np_job_load(j, 0, NULL)) return NP_FAIL;
    if (j->checkpoint && np_job_weights(j)) return NP_FAIL;
    if (np_job_derive(j, NP_INIT | NP_PREFILL | NP_STEP)) return NP_FAIL;
    const np_fn *prefill = np_job_plain(j, "prefill");
    if (!prefill && np_job_derive(j, NP_WHOLE)) return NP_FAIL;
    if (np_job_lower(j)) return NP_FAIL;
    find_notes(e);
    e->shown = shown_sizes(j->cx);
    if (j->o->html) return np_explain_html(e, j->o->html);
    const np_mod *m = j->model->mod;
    printf("model %s\n", j->model->name);
    if (j->checkpoint) printf("checkpoint: %s (%s)\n", j->checkpoint->path, j->checkpoint->format);
    print_weights(m);
    if (prefill)
        print_states(j->cx, prefill);
    else
        printf("no step: %s\n", np_job_why_whole(j));
    print_notes(e);
    for (int i = 0; i < m->nfns; i++) print_entry(e, m->fn[i]);
    return NP_OK;
}

int np_explain_main(np_cx *cx, const np_options *o)
{
    np_job j = {.cx = cx, .o = o};
    np_explain e = {.job = &j};
    np_status st = explain(&e);
    for (int i = 0; i < e.n; i++) np_fn_free(e.fused[i]);
    np_arena_free(&e.mem);
    np_job_free(&j);
    return st ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
