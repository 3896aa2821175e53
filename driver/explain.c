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

static void print_notes(np_cx *cx)
{
    printf("notes\n");
    for (int i = 0; i < cx->ndiags; i++) {
        const np_diag *d = &cx->diag[i];
        if (d->level != NP_NOTE) continue;
        printf("  %s: ", d->pass ? d->pass : "neap");
        if (d->loc.line) printf("%s:%d: ", d->loc.file, d->loc.line);
        printf("%s", d->text);
        if (d->loc.scope && *d->loc.scope) printf(" (in %s)", d->loc.scope);
        printf("\n");
    }
}

static int nodes_in(const np_block *b)
{
    int sum = 0;
    for (const np_node *n = b->first; n; n = n->next) {
        sum++;
        for (int i = 0; i < 2; i++)
            if (n->body[i]) sum += nodes_in(n->body[i]);
    }
    return sum;
}

/* A group is what is computed together: a kernel of the generated code, unless it is equal to another. */
static void print_entry(const np_fn *f)
{
    np_text t = {0};
    int groups = 0;
    for (const np_node *n = f->top.first; n; n = n->next) groups += n->op == NP_GROUP;
    printf("\nentry @%s: %d groups, %u nodes, %" PRId64 " bytes of work memory\n", f->name, groups, f->nnodes,
           f->work);
    for (const np_node *n = f->top.first; n; n = n->next) {
        if (n->op != NP_GROUP) continue;
        printf("  group %-36s %4d nodes", n->sym ? n->sym : "-", nodes_in(n->body[0]));
        if (n->loc.line) printf("  %s:%d", n->loc.file, n->loc.line);
        printf("\n");
    }
    np_place_report(f, &t);
    printf("%s", t.s ? t.s : "");
    np_text_free(&t);
}

static np_status explain(np_job *j)
{
    np_cx *cx = j->cx;
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
    for (int i = 0; i < m->nfns; i++) print_entry(m->fn[i]);
    return NP_OK;
}

int np_explain_main(np_cx *cx, const np_options *o)
{
    np_job j = {.cx = cx, .o = o};
    np_status st = explain(&j);
    np_job_free(&j);
    return st ? NP_EXIT_INPUT : NP_EXIT_DONE;
}
