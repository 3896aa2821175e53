/* affine, what is written: a product is taken apart into factors. Those with axes
 * that reads sum over make the key, the others scale the value; one factor may be
 * affine in reads of the same step. */
#include "affine_parts.h"

#include <string.h>

typedef struct factors {
    np_lab w, scale;
    char level;           /* factors along it are known */
    const np_node *value; /* the factor that depends on reads, or NULL */
    char at[NP_RANK + 1];
} factors;
static bool factor(np_reader *r, factors *f, const np_node *y, const char *at, bool invert)
{
    np_affine *a = r->a;
    char to[NP_RANK + 1];
    if (y->op == NP_MUL) return factor(r, f, y->arg[0], at, invert) && factor(r, f, y->arg[1], at, invert);
    if (y->op == NP_DIV && !invert)
        return factor(r, f, y->arg[0], at, false) && factor(r, f, y->arg[1], at, true);
    if (y->op == NP_NEG) {
        f->scale = np_label_neg(r->l, f->scale);
        return factor(r, f, y->arg[0], at, invert);
    }
    if (y->op == NP_EXPAND) {
        np_label_without(to, at, (int)y->attr[0]->k);
        return factor(r, f, y->arg[0], to, invert);
    }
    if (y->op == NP_PERMUTE) {
        np_label_before_permute(to, y, at);
        return factor(r, f, y->arg[0], to, invert);
    }
    if (y->op == NP_CONTRACT && !np_is_sum(y)) {
        for (int o = 0; o < 2; o++) {
            np_affine_before_contract(to, y, o, at);
            if (!factor(r, f, y->arg[o], to, invert)) return false;
        }
        return true;
    }
    if (!np_affine_free(r, y)) {
        if (f->value || invert) return np_affine_refuse(r, y, "writes a product of reads"), false;
        f->value = y;
        memcpy(f->at, at, strlen(at) + 1);
        return true;
    }
    np_lab x = np_affine_peel(r, y, at);
    if (a->no) return false;
    if (f->level && np_label_has(x, (char[]){f->level, 0})) return true;
    if (invert && x.n) x = np_label_op(r->l, NP_RECIP, 1, &x);
    if (np_label_has(x, a->key)) {
        if (np_label_has(x, a->value) || np_label_has(x, a->held))
            return np_affine_refuse(r, y, "writes what is not a product of a key and a value"), false;
        f->w = np_label_mul(r->l, f->w, x);
    } else {
        f->scale = np_label_mul(r->l, f->scale, x);
    }
    return true;
}
/* Is x, which has these axes, a matrix times what has the state's? */
static bool applies_matrix(const np_reader *r, const np_node *x, const char *axes)
{
    char others[NP_LETTERS];
    np_label_keep(others, axes, r->a->axes, false);
    return strlen(others) == 1 && strlen(axes) == strlen(r->a->axes) && np_is_sum(x);
}
/* write += how * x, where x is affine in reads of the step. */
static bool affine_value(np_reader *r, np_write *w, const np_node *x, const char *at, np_lab how)
{
    np_affine *a = r->a;
    char to[NP_RANK + 1];
    for (int e = 0; e < a->nreads; e++) {
        if (a->read[e].at != x) continue;
        if (strcmp(a->read[e].axes, at) != 0)
            return np_affine_refuse(
                       r, x,
                       applies_matrix(r, x, a->read[e].axes)
                           ? "applies a matrix to the state that is not seen to be diagonal plus low rank"
                           : "writes a read along another axis"),
                   false;
        w->c[e] = np_label_add(r->l, w->c[e], how);
        w->reads = true;
        return true;
    }
    if (np_affine_free(r, x)) {
        w->b = np_label_add(r->l, w->b, np_label_mul(r->l, how, np_affine_peel(r, x, at)));
        return !a->no;
    }
    switch (x->op) {
    case NP_ADD:
    case NP_SUB:
        return affine_value(r, w, x->arg[0], at, how) &&
               affine_value(r, w, x->arg[1], at, x->op == NP_SUB ? np_label_neg(r->l, how) : how);
    case NP_NEG: return affine_value(r, w, x->arg[0], at, np_label_neg(r->l, how));
    case NP_MUL: {
        int o = np_affine_free(r, x->arg[0]); /* which operand depends on reads */
        if (!np_affine_free(r, x->arg[!o])) return np_affine_refuse(r, x, "writes a product of reads"), false;
        how = np_label_mul(r->l, how, np_affine_peel(r, x->arg[!o], at));
        return !a->no && affine_value(r, w, x->arg[o], at, how);
    }
    case NP_DIV: {
        if (!np_affine_free(r, x->arg[1]))
            return np_affine_refuse(r, x, "divides by a read and writes the result"), false;
        np_lab by = np_affine_peel(r, x->arg[1], at);
        if (by.n) by = np_label_op(r->l, NP_RECIP, 1, &by);
        return !a->no && affine_value(r, w, x->arg[0], at, np_label_mul(r->l, how, by));
    }
    case NP_SELECT: {
        if (!np_affine_free(r, x->arg[0]))
            return np_affine_refuse(r, x, "chooses by what was read and writes the result"), false;
        np_write arm[2];
        np_lab c = np_affine_peel(r, x->arg[0], at);
        for (int o = 0; o < 2; o++) {
            arm[o] = (np_write){.b = np_label_none};
            for (int e = 0; e < NP_READS; e++) arm[o].c[e] = np_label_none;
            if (a->no || !affine_value(r, &arm[o], x->arg[1 + o], at, np_label_one)) return false;
            w->reads |= arm[o].reads;
        }
        np_lab b = np_label_select(r->l, c, arm[0].b, arm[1].b);
        w->b = np_label_add(r->l, w->b, np_label_mul(r->l, how, b));
        for (int e = 0; e < NP_READS; e++) {
            np_lab by = np_label_select(r->l, c, arm[0].c[e], arm[1].c[e]);
            w->c[e] = np_label_add(r->l, w->c[e], np_label_mul(r->l, how, by));
        }
        return true;
    }
    case NP_EXPAND:
        np_label_without(to, at, (int)x->attr[0]->k);
        return affine_value(r, w, x->arg[0], to, how);
    case NP_PERMUTE: np_label_before_permute(to, x, at); return affine_value(r, w, x->arg[0], to, how);
    default:
        return np_affine_refuse(r, x,
                                np_is_sum(x) ? "writes back a sum over too many things that were read"
                                             : "is written back and is not affine in what was read"),
               false;
    }
}
bool np_affine_take_apart(np_reader *r, np_write *w)
{
    np_affine *a = r->a;
    factors f = {.w = np_label_one, .scale = np_label_one, .level = w->level};
    if (!np_label_has(w->by, a->key))
        f.scale = w->by;
    else if (np_label_has(w->by, a->value) || np_label_has(w->by, a->held))
        return np_affine_refuse(r, w->y, "writes what is not a product of a key and a value"), false;
    else
        f.w = w->by;
    if (!factor(r, &f, w->y, w->at, false)) return false;
    w->w = f.w;
    w->b = np_label_none;
    for (int e = 0; e < NP_READS; e++) w->c[e] = np_label_none;
    if (!f.value)
        w->b = f.scale;
    else if (!affine_value(r, w, f.value, f.at, f.scale))
        return false;
    char outer[NP_LETTERS];
    np_label_join(outer, "t", a->batch, a->held);
    np_label_join(outer, outer, a->value, w->own ? (char[]){NP_LEVEL_OWN, 0} : "");
    bool good = np_label_within(w->b, outer);
    for (int e = 0; e < a->nreads; e++) good &= np_label_within(w->c[e], outer);
    if (!good) return np_affine_refuse(r, w->y, "writes what is not a product of a key and a value"), false;
    return true;
}
