/* Operands of elementwise ops: their type and their axes.
 *
 * Numbers stay numbers among themselves and take the type of a tensor beside
 * them. Integers become f32 where a float stands beside them or is needed;
 * nothing becomes an integer or leaves bool without being told to. */
#include "bind.h"

#include <string.h>

/* What the op takes: F floats, N numbers, L bools or integers, I integers, C
 * anything (comparison), S a bool and two of a kind. */
char np_operand_takes(np_op op)
{
    switch (op) {
    case NP_FLOOR:
    case NP_EXP:
    case NP_LOG:
    case NP_LOG1P:
    case NP_SQRT:
    case NP_RSQRT:
    case NP_RECIP:
    case NP_SIN:
    case NP_COS:
    case NP_TANH:
    case NP_SIGMOID:
    case NP_SOFTPLUS:
    case NP_ERF:
    case NP_DIV:
    case NP_POW: return 'F';
    case NP_AND:
    case NP_OR:
    case NP_XOR:
    case NP_NOT: return 'L';
    case NP_SHL:
    case NP_SHR: return 'I';
    case NP_LT:
    case NP_LE:
    case NP_EQ:
    case NP_NE: return 'C';
    case NP_SELECT: return 'S';
    default: return 'N';
    }
}

static np_dtype wider(np_dtype a, np_dtype b)
{
    char x = np_dtype_class(a), y = np_dtype_class(b);
    if (a == b) return a;
    if (x != y) return x == 'F' ? a : b; /* bool beside another class is refused later */
    if (np_dtype_size(a) == np_dtype_size(b)) return x == 'F' ? NP_F32 : NP_I32;
    return np_dtype_size(a) > np_dtype_size(b) ? a : b;
}

np_node *np_operand_convert(np_lua *s, np_node *n, np_dtype d)
{
    np_dtype from = n->type->dtype;
    if (from == d) return n;
    if (np_dtype_class(from) == 'B' || np_dtype_class(d) == 'B' || wider(from, d) != d) return NULL;
    return np_build_cast(s->b, n, d);
}

void np_operand_take(np_lua *s, int i, np_operand *o)
{
    *o = (np_operand){.kind = LITERAL, .type = NP_F32};
    int t = lua_type(s->L, i);
    if (t == LUA_TNUMBER) {
        o->num = lua_tonumber(s->L, i);
        o->type = lua_isinteger(s->L, i) ? NP_I32 : NP_F32;
    } else if (t == LUA_TBOOLEAN) {
        o->num = lua_toboolean(s->L, i);
        o->type = NP_BOOL;
    } else if (np_bind_is_val(s, i) || np_bind_is_dim(s, i)) {
        o->kind = TENSOR;
        o->v = np_bind_see(s, i);
        o->type = o->v.node ? o->v.node->type->dtype : NP_F32;
    } else {
        luaL_typeerror(s->L, i, "tensor or number");
    }
}

int np_operand_refuse(np_lua *s, const char *name, int i, const np_operand *o, const char *wants,
                      const char *hint)
{
    np_str what = o->kind == TENSOR ? np_bind_text(s, i, &o->v) : np_str_new(s->cx, "the literal");
    return np_bind_poison(s, "%s wants %s; %s is %s%s", name, wants, what, np_dtype_text(o->type), hint);
}

/* The type in which operands first.. are computed; false: reported, poison pushed. */
bool np_operand_common(np_lua *s, np_op op, const char *name, int first, int n, const np_operand *o,
                       np_dtype *out)
{
    np_dtype d = NP_NDTYPES;
    char want = np_operand_takes(op);
    for (int pass = TENSOR; pass >= LITERAL; pass--) { /* tensors decide, literals follow */
        for (int i = first; i < n; i++) {
            if ((int)o[i].kind != pass) continue;
            bool follows =
                pass == LITERAL && d != NP_NDTYPES && np_dtype_class(d) == 'F' && o[i].type != NP_BOOL;
            if (d == NP_NDTYPES)
                d = o[i].type;
            else if ((np_dtype_class(d) == 'B') != (o[i].type == NP_BOOL)) {
                int bad = np_dtype_class(d) == 'B' ? first : i; /* name the bool one */
                for (int j = first; j < n; j++)
                    if (o[j].type == NP_BOOL) bad = j;
                np_operand_refuse(s, name, bad + 1, &o[bad], "two of a kind", NP_TO_NUMBER);
                return false;
            } else if (!follows)
                d = wider(d, o[i].type);
        }
    }
    char c = np_dtype_class(d);
    if (want == 'F' && c == 'I') d = NP_F32;
    const char *wants = (want == 'F' || want == 'N') && c == 'B' ? "numbers"
                        : want == 'L' && c == 'F'                ? "bools or integers"
                        : want == 'I' && c != 'I'                ? "integers"
                                                                 : NULL;
    if (wants) np_operand_refuse(s, name, first + 1, &o[first], wants, c == 'B' ? NP_TO_NUMBER : "");
    *out = d;
    return !wants;
}

int np_operand_add(np_axis **list, int n, np_axis *const *more, int count)
{
    for (int i = 0; i < count; i++) {
        int j = 0;
        while (j < n && list[j] != more[i]) j++;
        if (j == n) list[n++] = more[i];
    }
    return n;
}

/* The union of the operands' axes: as the language orders it, and as the node
 * will have it, where the operand with the most axes keeps its order. */
bool np_operand_union(np_lua *s, const char *name, int n, const np_operand *o, np_val *out)
{
    np_axis *axis[NP_LUA_OPERANDS * NP_RANK], *order[NP_LUA_OPERANDS * NP_RANK];
    const np_val *most = NULL;
    int rank = 0, same = 0;
    for (int i = 0; i < n; i++) {
        if (o[i].kind != TENSOR) continue;
        rank = np_operand_add(order, rank, o[i].v.order, o[i].v.rank);
        if (!most || o[i].v.rank > most->rank) most = &o[i].v;
        if (rank <= NP_RANK) continue;
        np_bind_poison(s, "%s: the result would have more than %d axes: (%s)", name, NP_RANK,
                       np_bind_axes_text(s, rank, order));
        return false;
    }
    if (most) same = np_operand_add(axis, 0, most->axis, most->rank);
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR) same = np_operand_add(axis, same, o[i].v.axis, o[i].v.rank);
    *out = (np_val){.rank = rank};
    memcpy(out->axis, axis, (size_t)rank * sizeof *axis);
    memcpy(out->order, order, (size_t)rank * sizeof *order);
    return true;
}

int np_operand_push(np_lua *s, np_node *x, int rank, np_axis *const *axis, np_axis *const *order)
{
    np_val v = np_bind_value(s, x, rank, axis);
    memcpy(v.order, order, (size_t)rank * sizeof *order);
    return np_bind_push(s, v);
}
