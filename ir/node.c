/* Facts about operations, all from ops.def, and about nodes. */
#include "ir.h"

#include <stdlib.h>
#include <string.h>
#include <threads.h>

enum { COMM = 1, BODY = 2, BODY2 = 4, FX = 8 };
enum {
    CLASS_LEAF = NP_LEAF,
    CLASS_ELEM = NP_ELEM,
    CLASS_TENSOR = NP_TENSOR,
    CLASS_LOOP = NP_LOOPS,
    CLASS_CTRL = NP_CTRL
};
#define ANY NP_ANY

static const struct row {
    const char *text, *attrs, *doc;
    int nargs, cls, traits;
} rows[NP_NOPS] = {
#define NP_OP(id, text, args, attrs, cls, traits, rule, doc) {text, attrs, doc, args, CLASS_##cls, traits},
#include "ops.def"
#undef NP_OP
};

/* The rows with their attributes taken apart: constant once it is made. */
static np_opinfo table[NP_NOPS];
static once_flag made = ONCE_FLAG_INIT;
static char names[2048];

static void make_table(void)
{
    char *to = names;
    for (int i = 0; i < NP_NOPS; i++) {
        const struct row *r = &rows[i];
        np_opinfo *o = &table[i];
        *o = (np_opinfo){.text = r->text,
                         .doc = r->doc,
                         .nargs = r->nargs,
                         .cls = (np_opclass)r->cls,
                         .comm = r->traits & COMM,
                         .fx = (r->traits & FX) != 0,
                         .nbodies = r->traits & BODY2 ? 2 : (r->traits & BODY) != 0};
        for (const char *p = r->attrs; *p;) {
            size_t w = strcspn(p, ",");
            if (*p == '$')
                o->has_sym = true;
            else if (*p == '#')
                o->has_num = true;
            else {
                const char *q = memchr(p, '?', w);
                size_t n = q ? (size_t)(q - p) : w;
                o->attr[o->nattrs] = to;
                memcpy(to, p, n);
                to[n] = 0;
                to += n + 1;
                o->optional[o->nattrs] = q != NULL;
                if (q) o->dflt[o->nattrs] = strtoll(q + 1, NULL, 10);
                o->nattrs++;
            }
            p += w + (p[w] == ',');
        }
    }
}

const np_opinfo *np_op_info(np_op op)
{
    call_once(&made, make_table);
    return &table[op];
}
bool np_op_find(const char *text, np_op *out)
{
    for (int i = 0; i < NP_NOPS; i++)
        if (strcmp(rows[i].text, text) == 0) {
            *out = (np_op)i;
            return true;
        }
    return false;
}

bool np_node_turned(const np_node *a, const np_node *b)
{
    bool last = a->op == NP_CONST, end = b->op == NP_CONST;
    return last != end ? last : b->id < a->id;
}
bool np_is_leaf(const np_node *n)
{
    return np_op_info(n->op)->cls == NP_LEAF;
}
bool np_is_elem(const np_node *n)
{
    return np_op_info(n->op)->cls == NP_ELEM;
}
int np_op_cost(np_op op)
{
    switch (op) {
    case NP_EXP:
    case NP_LOG:
    case NP_LOG1P:
    case NP_SIN:
    case NP_COS:
    case NP_TANH:
    case NP_SIGMOID:
    case NP_SOFTPLUS:
    case NP_ERF:
    case NP_POW: return 10;
    case NP_DIV:
    case NP_SQRT:
    case NP_RSQRT:
    case NP_RECIP:
    case NP_MOD:
    case NP_IDIV: return 3;
    case NP_CAST: return 0;
    default: return np_op_info(op)->cls == NP_ELEM;
    }
}
bool np_is_sum(const np_node *n)
{
    if (n->op != NP_CONTRACT) return n->op == NP_REDUCE;
    const char *out = strstr(n->sym, "->") + 2;
    for (const char *s = n->sym; s < out - 2; s++)
        if (*s != ',' && !strchr(out, *s)) return true;
    return false;
}
bool np_block_encloses(const np_block *outer, const np_block *b)
{
    while (b && b != outer) b = b->outer;
    return b != NULL;
}
int np_block_depth(const np_block *b)
{
    int n = 0;
    while ((b = b->outer)) n++;
    return n;
}
bool np_has_effect(const np_node *n)
{
    if (n->op == NP_STORE || n->op == NP_PREFETCH || n->op == NP_RET) return true;
    for (int i = 0; i < 2; i++)
        for (const np_node *m = n->body[i] ? n->body[i]->first : NULL; m; m = m->next)
            if (np_has_effect(m)) return true;
    return false;
}
const np_type *np_result_type(const np_node *n, int i)
{
    return n->type->tuple ? n->type->part[i] : n->type;
}
int np_result_count(const np_node *n)
{
    return n->type->tuple ? n->type->width : 1;
}
