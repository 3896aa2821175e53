/* affine, decays along both kinds of axes: S' = (k v') * S + .. with k along the
 * key and v along the value, element by element. Such a decay is a product, and so
 * is whatever it has scaled: how a read sees the state, how a write enters it.
 * Each is taken apart into what is along the key, which belongs into scores, and
 * the rest, which is carried on written values and multiplies what was read. */
#include "affine_parts.h"

static bool split(const np_affine *a, np_label *l, np_lab x, np_lab part[2]);

/* part *= exp(+-x), x a sum. */
static bool split_exp(const np_affine *a, np_label *l, np_lab x, bool minus, np_lab part[2])
{
    char to[NP_RANK + 1];
    bool both = np_label_has(x, a->key) && np_label_has(x, a->value);
    if (both && x.n->op == NP_EXPAND) {
        np_label_without(to, x.axes, (int)x.n->attr[0]->k);
        return split_exp(a, l, np_label_of(x.n->arg[0], to), minus, part);
    }
    if (both && x.n->op == NP_NEG) return split_exp(a, l, np_label_of(x.n->arg[0], x.axes), !minus, part);
    if (both && (x.n->op == NP_ADD || x.n->op == NP_SUB))
        return split_exp(a, l, np_label_of(x.n->arg[0], x.axes), minus, part) &&
               split_exp(a, l, np_label_of(x.n->arg[1], x.axes), minus != (x.n->op == NP_SUB), part);
    if (both) return false;
    if (minus) x = np_label_neg(l, x);
    np_lab *to_part = &part[np_label_has(x, a->value)];
    *to_part = np_label_mul(l, *to_part, np_label_op(l, NP_EXP, 1, &x));
    return true;
}
/* part[0] *= what x has without axes of the value, part[1] *= the rest of it, without the key. */
static bool split(const np_affine *a, np_label *l, np_lab x, np_lab part[2])
{
    char to[NP_RANK + 1];
    if (!np_label_has(x, a->key) || !np_label_has(x, a->value)) {
        np_lab *to_part = &part[np_label_has(x, a->value)];
        *to_part = np_label_mul(l, *to_part, x);
        return true;
    }
    switch (x.n->op) {
    case NP_MUL:
        return split(a, l, np_label_of(x.n->arg[0], x.axes), part) &&
               split(a, l, np_label_of(x.n->arg[1], x.axes), part);
    case NP_NEG:
        part[0] = np_label_neg(l, part[0]);
        return split(a, l, np_label_of(x.n->arg[0], x.axes), part);
    case NP_EXP: return split_exp(a, l, np_label_of(x.n->arg[0], x.axes), false, part);
    case NP_EXPAND:
        np_label_without(to, x.axes, (int)x.n->attr[0]->k);
        return split(a, l, np_label_of(x.n->arg[0], to), part);
    case NP_PERMUTE:
        np_label_before_permute(to, x.n, x.axes);
        return split(a, l, np_label_of(x.n->arg[0], to), part);
    case NP_CONTRACT:
        if (np_is_sum(x.n)) return false;
        for (int o = 0; o < 2; o++) {
            np_affine_before_contract(to, x.n, o, x.axes);
            if (!split(a, l, np_label_of(x.n->arg[o], to), part)) return false;
        }
        return true;
    default: return false;
    }
}
static bool take(const np_affine *a, np_label *l, np_lab *x, np_lab *value)
{
    np_lab part[2] = {np_label_one, np_label_one};
    if (!split(a, l, *x, part)) return false;
    *x = part[0];
    *value = part[1];
    return true;
}
bool np_affine_apart(np_affine *a)
{
    np_label *l = &a->l;
    bool own = a->nstates == 1 && !a->level && a->decay == NP_DECAY_EACH;
    if (!own || a->chosen || !np_label_has(a->mix[0][0], a->key) || !np_label_has(a->mix[0][0], a->value))
        return false;
    np_lab mix = a->mix[0][0], see[NP_READS], enter[NP_WRITES];
    bool good = take(a, l, &mix, &a->mix_value);
    for (int e = 0; e < a->nreads && good; e++) {
        see[e] = a->read[e].end < 0 ? a->read[e].a[0] : a->read[e].by;
        good = take(a, l, &see[e], &a->read[e].value);
    }
    for (int f = 0; f < a->nwrites && good; f++) {
        enter[f] = a->write[f].post[0];
        good = take(a, l, &enter[f], &a->write[f].post_value);
    }
    if (!good) return false;
    a->mix[0][0] = mix;
    for (int e = 0; e < a->nreads; e++) *(a->read[e].end < 0 ? &a->read[e].a[0] : &a->read[e].by) = see[e];
    for (int f = 0; f < a->nwrites; f++) a->write[f].post[0] = enter[f];
    a->decay = NP_DECAY_BOTH;
    a->each = NULL;
    return true;
}
