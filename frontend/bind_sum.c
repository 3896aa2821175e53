/* What sums along axes or puts tensors together: reductions, dot, gather,
 * stack, concat. */
#include "bind.h"

#include <string.h>

/* ---- reductions */
static int reduce(lua_State *L, const char *kind)
{
    np_lua *s = np_bind_enter(L);
    int n = lua_gettop(L);
    np_axis *rest[NP_RANK];
    if (n > 1 && (np_bind_is_val(s, 2) || lua_isnumber(L, 2)) && strcmp(kind, "sum") != 0)
        return np_lua_fail(s, "%s goes along an axis; of two values it is %simum(a, b)", kind, kind);
    np_val v = np_bind_see(s, 1);
    for (int i = 2; i <= n; i++) np_bind_axis(s, i);
    if (!v.node) return np_bind_push(s, v);
    if (np_dtype_class(v.node->type->dtype) == 'B')
        return np_bind_poison(s, "%s wants numbers; %s is bool%s", kind, np_bind_text(s, 1, &v),
                              NP_TO_NUMBER);
    np_node *x = v.node;
    for (int i = 2; i <= n; i++) {
        np_axis *a = np_bind_axis(s, i);
        int at = np_bind_place(&v, a), k = 0;
        if (at < 0) return np_bind_poison(s, "%s: %s has no axis %s", kind, np_bind_text(s, 1, &v), a->name);
        x = np_build_reduce(s->b, x, kind, at);
        for (int j = 0; j < v.rank; j++)
            if (j != at) rest[k++] = v.axis[j];
        np_val next = np_bind_value(s, x, k, rest);
        np_bind_drop(v.order, v.rank, a);
        memcpy(next.order, v.order, (size_t)k * sizeof *rest);
        v = next;
    }
    return np_bind_push(s, v);
}

static int l_sum(lua_State *L)
{
    return reduce(L, "sum");
}

static int l_max(lua_State *L)
{
    return reduce(L, "max");
}

static int l_min(lua_State *L)
{
    return reduce(L, "min");
}

/* ---- dot(a, b, axis...) */
static bool dot_axis(np_lua *s, const np_val *a, const np_val *b, const np_axis *x)
{
    bool in_a = np_bind_place(a, x) >= 0, in_b = np_bind_place(b, x) >= 0;
    if (in_a && in_b) return true;
    np_str p = np_bind_text(s, 1, a), q = np_bind_text(s, 2, b);
    if (in_a || in_b)
        np_bind_poison(s, "dot over %s: %s has it, %s does not", x->name, in_a ? p : q, in_a ? q : p);
    else
        np_bind_poison(s, "dot over %s: neither %s nor %s has it", x->name, p, q);
    return false;
}

/* In the contraction: axis i of v, which is b or a itself. */
static char letter(const np_val *a, const np_val *v, int i)
{
    int at = np_bind_place(a, v->axis[i]);
    return (char)(at >= 0 ? 'a' + at : 'a' + NP_RANK + i);
}
static bool is_sequence(const np_val *v)
{
    int64_t n;
    for (int i = 0; i < v->rank; i++)
        if (!np_dim_int(v->node->type->dim[i], &n)) return true;
    return false;
}
static bool is_weight(const np_node *x)
{
    while (x->nargs == 1) x = x->arg[0];
    return x->op == NP_WEIGHT;
}
/* Do the axes of v come first in the node, before those of `first`? What follows reads a sequence row by row, so its rows lie
 * one after the other, and a weight's axes are those of a row. (np_val.order has what the language says.) */
static bool leads(const np_val *v, const np_val *first)
{
    bool sequence = is_sequence(v);
    return sequence != is_sequence(first) ? sequence : is_weight(first->node) && !is_weight(v->node);
}
static int l_dot(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    int n = lua_gettop(L), rank = 0;
    np_operand o[2];
    np_dtype d;
    np_axis *axis[NP_RANK], *order[2 * NP_RANK];
    char spec[4 * NP_RANK], *p = spec;
    if (n < 3) return np_ops_elementwise(s, NP_MUL, "dot", 2);
    for (int i = 3; i <= n; i++) np_bind_axis(s, i);
    np_operand_take(s, 1, &o[0]);
    np_operand_take(s, 2, &o[1]);
    if (o[0].kind == LITERAL || o[1].kind == LITERAL) return np_lua_fail(s, "dot wants two tensors");
    np_val *a = &o[0].v, *b = &o[1].v;
    if (!a->node || !b->node) return np_bind_poison(s, NULL);
    for (int i = 3; i <= n; i++)
        if (!dot_axis(s, a, b, np_bind_axis(s, i))) return 1;
    if (!np_operand_common(s, NP_MUL, "dot", 0, 2, o, &d)) return 1;
    a->node = np_operand_convert(s, a->node, d);
    b->node = np_operand_convert(s, b->node, d);
    for (int i = 0; i < a->rank; i++) *p++ = letter(a, a, i);
    *p++ = ',';
    for (int i = 0; i < b->rank; i++) *p++ = letter(a, b, i);
    *p++ = '-', *p++ = '>';
    const np_val *side[2] = {a, b};
    if (leads(b, a)) side[0] = b, side[1] = a;
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < side[k]->rank; i++) {
            np_axis *x = side[k]->axis[i];
            bool gone = k == 1 && np_bind_place(side[0], x) >= 0;
            for (int j = 3; j <= n; j++) gone |= np_bind_axis(s, j) == x;
            if (gone) continue;
            if (rank == NP_RANK)
                return np_bind_poison(s, "dot: the result would have more than %d axes", NP_RANK);
            axis[rank++] = x;
            *p++ = letter(a, side[k], i);
        }
    *p = 0;
    int m = np_operand_add(order, np_operand_add(order, 0, a->order, a->rank), b->order, b->rank);
    for (int j = 3; j <= n; j++) np_bind_drop(order, m--, np_bind_axis(s, j));
    return np_operand_push(s, np_build_contract(s->b, a->node, b->node, spec), rank, axis, order);
}

/* ---- gather(table, ids, a): the table at ids along a; other axes that both have are shared */
static int l_gather(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 3), *t_axis[NP_RANK], *i_axis[NP_RANK], *axis[2 * NP_RANK];
    np_val t = np_bind_see(s, 1), ids = np_bind_see(s, 2);
    int shared = 0, n = 0, m = 0;
    if (!t.node || !ids.node) return np_bind_poison(s, NULL);
    if (np_bind_place(&t, a) < 0)
        return np_bind_poison(s, "gather: %s has no axis %s", np_bind_text(s, 1, &t), a->name);
    if (np_bind_place(&ids, a) >= 0)
        return np_bind_poison(s, "gather: the indices %s have axis %s themselves", np_bind_text(s, 2, &ids),
                              a->name);
    if (np_dtype_class(ids.node->type->dtype) != 'I')
        return np_bind_poison(s, "gather: the indices %s are %s; write int(x)", np_bind_text(s, 2, &ids),
                              np_dtype_text(ids.node->type->dtype));
    for (int i = 0; i < ids.rank; i++)
        if (np_bind_place(&t, ids.axis[i]) >= 0) i_axis[shared] = t_axis[shared] = ids.axis[i], shared++;
    n = m = shared;
    for (int i = 0; i < ids.rank; i++)
        if (np_bind_place(&t, ids.axis[i]) < 0) i_axis[n++] = ids.axis[i];
    t_axis[m++] = a;
    for (int i = 0; i < t.rank; i++)
        if (t.axis[i] != a && np_bind_place(&ids, t.axis[i]) < 0) t_axis[m++] = t.axis[i];
    int rank = n + m - shared - 1;
    if (rank > NP_RANK) return np_bind_poison(s, "gather: the result would have more than %d axes", NP_RANK);
    memcpy(axis, i_axis, (size_t)n * sizeof *axis);
    memcpy(axis + n, t_axis + shared + 1, (size_t)(m - shared - 1) * sizeof *axis);
    np_node *x[2] = {np_bind_align(s, &t, t.rank, t_axis), np_bind_align(s, &ids, ids.rank, i_axis)};
    np_node *r = np_build_op(s->b, NP_GATHER, 2, x, &(np_extra){.attr = {np_dim_const(s->cx, shared)}});
    np_axis *order[2 * NP_RANK];
    np_bind_drop(t.order, t.rank, a);
    np_operand_add(order, np_operand_add(order, 0, ids.order, ids.rank), t.order, t.rank - 1);
    return np_operand_push(s, r, rank, axis, order);
}

/* ---- stack(a, {x, y, ..}) and concat(a, {x, b}, {y, c}, ..) */

/* The operands in one type, and the union of their axes. False: poison was pushed. */
static bool alike(np_lua *s, const char *name, int n, np_operand *o, np_val *all)
{
    np_dtype d;
    *all = (np_val){0};
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR && !o[i].v.node) return np_bind_poison(s, NULL), false;
    if (!np_operand_common(s, NP_SELECT, name, 0, n, o, &d)) return false;
    for (int i = 0; i < n; i++) {
        np_operand two[2] = {{.kind = TENSOR, .v = *all}, o[i]};
        if (!np_operand_union(s, name, 2, two, all)) return false;
        if (o[i].kind == LITERAL)
            o[i].v = np_bind_value(s, np_build_num(s->b, np_type_scalar(s->cx, d), o[i].num), 0, NULL);
        o[i].v.node = np_operand_convert(s, o[i].v.node, d);
    }
    return true;
}

static np_node *joined(np_lua *s, int n, np_node **x, int at)
{
    return n == 1 ? x[0] : np_build_op(s->b, NP_CONCAT, n, x, &(np_extra){.attr = {np_dim_const(s->cx, at)}});
}

static int l_stack(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    int n = (int)luaL_len(L, 2);
    if (n < 1 || n > 4096) return np_lua_fail(s, "stack wants a list of 1 to 4096 tensors");
    np_operand *o = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *o);
    np_axis_dim(s, a);
    if (!np_axis_size(s, a, np_dim_const(s->cx, n), np_str_new(s->cx, "stack")))
        return np_bind_poison(s, NULL);
    for (int i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        np_operand_take(s, lua_gettop(L), &o[i]);
        lua_pop(L, 1);
    }
    np_val all;
    if (!alike(s, "stack", n, o, &all)) return 1;
    if (np_bind_place(&all, a) >= 0) return np_bind_poison(s, "stack: axis %s would appear twice", a->name);
    if (all.rank == NP_RANK)
        return np_bind_poison(s, "stack: the result would have more than %d axes", NP_RANK);
    np_node **x = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = np_build_expand(s->b, np_bind_align(s, &o[i].v, all.rank, all.axis), all.rank,
                               np_dim_const(s->cx, 1));
    all.axis[all.rank] = a;
    memmove(all.order + 1, all.order, (size_t)all.rank * sizeof *all.order);
    all.order[0] = a;
    return np_operand_push(s, joined(s, n, x, all.rank), all.rank + 1, all.axis, all.order);
}

/* Along the axes from[i], which become a, where the first one stands. */
static int concat(np_lua *s, np_axis *a, int n, np_operand *o, np_axis *const *from)
{
    np_val all;
    np_node **x = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *x);
    for (int i = 0; i < n; i++) /* one axis for all of them, while they are aligned */
        for (int k = 0; k < o[i].v.rank; k++) {
            if (o[i].v.axis[k] == from[i]) o[i].v.axis[k] = a;
            if (o[i].v.order[k] == from[i]) o[i].v.order[k] = a;
        }
    if (!alike(s, "concat", n, o, &all)) return 1;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < all.rank; j++)
            if (all.axis[j] == from[i] && from[i] != a)
                return np_bind_poison(s, "concat: axis %s stays in another operand", from[i]->name);
    for (int i = 0; i < n; i++) x[i] = np_bind_align(s, &o[i].v, all.rank, all.axis);
    return np_operand_push(s, joined(s, n, x, np_bind_place(&all, a)), all.rank, all.axis, all.order);
}

static int l_concat(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 1);
    int n = lua_gettop(L) - 1;
    const np_dim *size = np_dim_const(s->cx, 0);
    if (n < 1) return np_lua_fail(s, "concat wants tensors with their axes: concat(D, {x, A}, {y, B})");
    np_operand *o = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *o);
    np_axis **from = np_arena_array(&s->cx->tmp, (size_t)n, sizeof(np_axis *));
    for (int i = 0; i < n; i++) {
        luaL_checktype(L, i + 2, LUA_TTABLE);
        lua_geti(L, i + 2, 2);
        from[i] = np_bind_axis(s, lua_gettop(L));
        lua_geti(L, i + 2, 1);
        np_operand_take(s, lua_gettop(L), &o[i]);
        if (o[i].kind == LITERAL) return np_lua_fail(s, "concat: a number has no axis %s", from[i]->name);
        if (o[i].v.node && np_bind_place(&o[i].v, from[i]) < 0)
            return np_bind_poison(s, "concat: %s has no axis %s", np_bind_text(s, lua_gettop(L), &o[i].v),
                                  from[i]->name);
        if (o[i].v.node) size = np_dim_add(s->cx, size, from[i]->dim);
        lua_pop(L, 2);
    }
    for (int i = 0; i < n; i++)
        if (!o[i].v.node) return np_bind_poison(s, NULL);
    np_axis_dim(s, a);
    if (!np_axis_size(s, a, size, np_str_new(s->cx, "concat"))) return np_bind_poison(s, NULL);
    return concat(s, a, n, o, from);
}

const luaL_Reg np_sum_functions[] = {{"sum", l_sum},       {"max", l_max},       {"min", l_min},
                                     {"dot", l_dot},       {"gather", l_gather}, {"stack", l_stack},
                                     {"concat", l_concat}, {NULL, NULL}};
