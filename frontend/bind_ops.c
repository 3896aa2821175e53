/* Arithmetic on named axes: operands are aligned by axis to the union of their
 * axes (in order of first appearance), then one positional op is built. Numbers
 * stay numbers among themselves, and take the type of a tensor beside them.
 * Integers become f32 where a float stands beside them or is needed; nothing
 * becomes an integer or leaves bool without being told to (int, f32, where). */
#include "bind.h"

#include <math.h>
#include <string.h>

typedef struct operand {
    enum { LITERAL, TENSOR } kind;
    np_val v;
    double num;
    np_dtype type; /* literals: bool, i32 or f32 as written */
} operand;

/* What the op takes: F floats, N numbers, L bools or integers, I integers, C
 * anything (comparison), S a bool and two of a kind. */
static char takes(np_op op)
{
    switch (op) {
    case NP_FLOOR: case NP_EXP: case NP_LOG: case NP_LOG1P: case NP_SQRT: case NP_RSQRT: case NP_RECIP: case NP_SIN:
    case NP_COS: case NP_TANH: case NP_SIGMOID: case NP_SOFTPLUS: case NP_ERF: case NP_DIV: case NP_POW: return 'F';
    case NP_AND: case NP_OR: case NP_XOR: case NP_NOT: return 'L';
    case NP_SHL: case NP_SHR: return 'I';
    case NP_LT: case NP_LE: case NP_EQ: case NP_NE: return 'C';
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

np_node *np_ops_convert(np_lua *s, np_node *n, np_dtype d)
{
    np_dtype from = n->type->dtype;
    if (from == d) return n;
    if (np_dtype_class(from) == 'B' || np_dtype_class(d) == 'B' || wider(from, d) != d) return NULL;
    return np_build_cast(s->b, n, d);
}

/* ---- among numbers and sizes */
static bool sizes_only(np_lua *s, np_op op, int n, const np_dim **out)
{
    const np_dim *d[2];
    int64_t k;
    bool any = false;
    for (int i = 0; i < n; i++) {
        any |= np_bind_is_dim(s, i + 1) != NULL;
        if (!np_bind_is_dim(s, i + 1) && !lua_isinteger(s->L, i + 1)) return false;
    }
    if (!any || n > 2) return false;
    for (int i = 0; i < n; i++) d[i] = np_bind_dim(s, i + 1);
    switch (op) {
    case NP_ADD: *out = np_dim_add(s->cx, d[0], d[1]); return true;
    case NP_SUB: *out = np_dim_sub(s->cx, d[0], d[1]); return true;
    case NP_MUL: *out = np_dim_mul(s->cx, d[0], d[1]); return true;
    case NP_MIN: *out = np_dim_min(s->cx, d[0], d[1]); return true;
    case NP_MAX: *out = np_dim_max(s->cx, d[0], d[1]); return true;
    case NP_NEG: *out = np_dim_mul(s->cx, d[0], np_dim_const(s->cx, -1)); return true;
    case NP_IDIV:
    case NP_MOD:
        if (!np_dim_int(d[1], &k) || k < 1) return false;
        *out = np_dim_floor(s->cx, d[0], k);
        if (op == NP_MOD) *out = np_dim_sub(s->cx, d[0], np_dim_mul(s->cx, *out, d[1]));
        return true;
    default: return false;
    }
}

static int numbers(np_lua *s, np_op op, int n, const operand *o)
{
    double v[NP_LUA_OPERANDS] = {0};
    bool whole = takes(op) != 'F';
    for (int i = 0; i < n; i++) {
        v[i] = o[i].num;
        if (op != NP_SELECT || i) whole &= o[i].type == NP_I32;
    }
    double r = np_fold_number(op, whole ? NP_I64 : NP_F64, v);
    if (takes(op) == 'C' || (takes(op) == 'L' && o[0].type == NP_BOOL))
        lua_pushboolean(s->L, r != 0);
    else if (whole)
        lua_pushinteger(s->L, (lua_Integer)r);
    else
        lua_pushnumber(s->L, r);
    return 1;
}

/* ---- operands */
static void take(np_lua *s, int i, operand *o)
{
    *o = (operand){.kind = LITERAL, .type = NP_F32};
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

static int refuse(np_lua *s, const char *name, int i, const operand *o, const char *wants, const char *hint)
{
    np_str what = o->kind == TENSOR ? np_bind_text(s, i, &o->v) : np_str_new(s->cx, "the literal");
    return np_bind_poison(s, "%s wants %s; %s is %s%s", name, wants, what, np_dtype_text(o->type), hint);
}

static const char to_number[] = ": write f32(x) or where(x, 1, 0)";

/* The type in which operands first.. are computed; false: reported, poison pushed. */
static bool common(np_lua *s, np_op op, const char *name, int first, int n, const operand *o, np_dtype *out)
{
    np_dtype d = NP_NDTYPES;
    char want = takes(op);
    for (int pass = TENSOR; pass >= LITERAL; pass--) { /* tensors decide, literals follow */
        for (int i = first; i < n; i++) {
            if ((int)o[i].kind != pass) continue;
            bool follows = pass == LITERAL && d != NP_NDTYPES && np_dtype_class(d) == 'F' && o[i].type != NP_BOOL;
            if (d == NP_NDTYPES)
                d = o[i].type;
            else if ((np_dtype_class(d) == 'B') != (o[i].type == NP_BOOL)) {
                int bad = np_dtype_class(d) == 'B' ? first : i; /* name the bool one */
                for (int j = first; j < n; j++)
                    if (o[j].type == NP_BOOL) bad = j;
                refuse(s, name, bad + 1, &o[bad], "two of a kind", to_number);
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
    if (wants) refuse(s, name, first + 1, &o[first], wants, c == 'B' ? to_number : "");
    *out = d;
    return !wants;
}

static int add_axes(np_axis **list, int n, np_axis *const *more, int count)
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
static bool merge_axes(np_lua *s, const char *name, int n, const operand *o, np_val *out)
{
    np_axis *axis[NP_LUA_OPERANDS * NP_RANK], *order[NP_LUA_OPERANDS * NP_RANK];
    const np_val *most = NULL;
    int rank = 0, same = 0;
    for (int i = 0; i < n; i++) {
        if (o[i].kind != TENSOR) continue;
        rank = add_axes(order, rank, o[i].v.order, o[i].v.rank);
        if (!most || o[i].v.rank > most->rank) most = &o[i].v;
        if (rank <= NP_RANK) continue;
        np_bind_poison(s, "%s: the result would have more than %d axes: (%s)", name, NP_RANK, np_bind_axes_text(s, rank, order));
        return false;
    }
    if (most) same = add_axes(axis, 0, most->axis, most->rank);
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR) same = add_axes(axis, same, o[i].v.axis, o[i].v.rank);
    *out = (np_val){.rank = rank};
    memcpy(out->axis, axis, (size_t)rank * sizeof *axis);
    memcpy(out->order, order, (size_t)rank * sizeof *order);
    return true;
}

static int push_ordered(np_lua *s, np_node *x, int rank, np_axis *const *axis, np_axis *const *order)
{
    np_val v = np_bind_value(s, x, rank, axis);
    memcpy(v.order, order, (size_t)rank * sizeof *order);
    return np_bind_push(s, v);
}

/* x^2 and the like are other ops, exactly. */
static np_node *power(np_lua *s, np_node *x, const operand *e)
{
    if (e->kind != LITERAL) return NULL;
    if (e->num == 2) return np_build_2(s->b, NP_MUL, x, x);
    if (e->num == 1) return x;
    if (e->num == 0.5) return np_build_1(s->b, NP_SQRT, x);
    if (e->num == -0.5) return np_build_1(s->b, NP_RSQRT, x);
    if (e->num == -1) return np_build_1(s->b, NP_RECIP, x);
    return NULL;
}

static int elementwise(np_lua *s, np_op op, const char *name, int n)
{
    operand o[NP_LUA_OPERANDS] = {0};
    np_node *x[NP_LUA_OPERANDS];
    np_val all;
    np_dtype d;
    int tensors = 0;
    const np_dim *size;
    if (sizes_only(s, op, n, &size)) {
        np_bind_push_dim(s, size);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        take(s, i + 1, &o[i]);
        tensors += o[i].kind == TENSOR;
    }
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR && !o[i].v.node) return np_bind_poison(s, NULL);
    if (tensors == 0 && (op != NP_SELECT || o[0].type == NP_BOOL)) return numbers(s, op, n, o);
    if (op == NP_SELECT && o[0].type != NP_BOOL) return refuse(s, name, 1, &o[0], "a bool first", "");
    if (!common(s, op, name, op == NP_SELECT, n, o, &d) || !merge_axes(s, name, n, o, &all)) return 1;
    for (int i = 0; i < n; i++) {
        np_dtype want = op == NP_SELECT && i == 0 ? NP_BOOL : d;
        if (o[i].kind == LITERAL)
            x[i] = np_build_num(s->b, np_bind_type(s, want, all.rank, all.axis), o[i].num);
        else
            o[i].v.node = np_ops_convert(s, o[i].v.node, want), x[i] = np_bind_align(s, &o[i].v, all.rank, all.axis);
    }
    np_node *r = op == NP_POW ? power(s, x[0], &o[1]) : NULL;
    if (!r) r = np_build_op(s->b, op, n, x, NULL);
    return push_ordered(s, r, all.rank, all.axis, all.order);
}

/* upvalues: op, whether the operands are exchanged, name for messages */
static int l_elementwise(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_op op = (np_op)lua_tointeger(L, lua_upvalueindex(1));
    int n = np_op_info(op)->nargs;
    if (n == 1 && lua_gettop(L) > 1 && !lua_toboolean(L, lua_upvalueindex(2)))
        return np_lua_fail(s, "%s takes one value", lua_tostring(L, lua_upvalueindex(3)));
    lua_settop(L, n);
    if (n == 2 && lua_toboolean(L, lua_upvalueindex(2))) lua_insert(L, 1);
    return elementwise(s, op, lua_tostring(L, lua_upvalueindex(3)), n);
}

static int l_compared(lua_State *L)
{
    return np_lua_fail(np_bind_enter(L), "Lua makes a boolean of < and <=: write lt(a, b), le(a, b), gt(a, b) or ge(a, b)");
}

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
        return np_bind_poison(s, "%s wants numbers; %s is bool%s", kind, np_bind_text(s, 1, &v), to_number);
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

static int l_dot(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    int n = lua_gettop(L), rank = 0;
    operand o[2];
    np_dtype d;
    np_axis *axis[NP_RANK], *order[2 * NP_RANK];
    char spec[4 * NP_RANK], *p = spec;
    if (n < 3) return elementwise(s, NP_MUL, "dot", 2);
    for (int i = 3; i <= n; i++) np_bind_axis(s, i);
    take(s, 1, &o[0]);
    take(s, 2, &o[1]);
    if (o[0].kind == LITERAL || o[1].kind == LITERAL) return np_lua_fail(s, "dot wants two tensors");
    np_val *a = &o[0].v, *b = &o[1].v;
    if (!a->node || !b->node) return np_bind_poison(s, NULL);
    for (int i = 3; i <= n; i++)
        if (!dot_axis(s, a, b, np_bind_axis(s, i))) return 1;
    if (!common(s, NP_MUL, "dot", 0, 2, o, &d)) return 1;
    a->node = np_ops_convert(s, a->node, d);
    b->node = np_ops_convert(s, b->node, d);
    for (int i = 0; i < a->rank; i++) *p++ = (char)('a' + i);
    *p++ = ',';
    for (int i = 0; i < b->rank; i++) {
        int at = np_bind_place(a, b->axis[i]);
        *p++ = (char)(at >= 0 ? 'a' + at : 'a' + NP_RANK + i);
    }
    *p++ = '-', *p++ = '>';
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < o[k].v.rank; i++) {
            np_axis *x = o[k].v.axis[i];
            bool gone = k == 1 && np_bind_place(a, x) >= 0;
            for (int j = 3; j <= n; j++) gone |= np_bind_axis(s, j) == x;
            if (gone) continue;
            if (rank == NP_RANK) return np_bind_poison(s, "dot: the result would have more than %d axes", NP_RANK);
            axis[rank++] = x;
            *p++ = (char)(k == 0 ? 'a' + i : 'a' + NP_RANK + i);
        }
    *p = 0;
    int m = add_axes(order, add_axes(order, 0, a->order, a->rank), b->order, b->rank);
    for (int j = 3; j <= n; j++) np_bind_drop(order, m--, np_bind_axis(s, j));
    return push_ordered(s, np_build_contract(s->b, a->node, b->node, spec), rank, axis, order);
}

/* ---- gather(table, ids, a): the table at ids along a; other axes that both have are shared */
static int l_gather(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 3), *t_axis[NP_RANK], *i_axis[NP_RANK], *axis[2 * NP_RANK];
    np_val t = np_bind_see(s, 1), ids = np_bind_see(s, 2);
    int shared = 0, n = 0, m = 0;
    if (!t.node || !ids.node) return np_bind_poison(s, NULL);
    if (np_bind_place(&t, a) < 0) return np_bind_poison(s, "gather: %s has no axis %s", np_bind_text(s, 1, &t), a->name);
    if (np_bind_place(&ids, a) >= 0)
        return np_bind_poison(s, "gather: the indices %s have axis %s themselves", np_bind_text(s, 2, &ids), a->name);
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
    add_axes(order, add_axes(order, 0, ids.order, ids.rank), t.order, t.rank - 1);
    return push_ordered(s, r, rank, axis, order);
}

/* ---- stack(a, {x, y, ..}) and concat(a, {x, b}, {y, c}, ..) */

/* The operands in one type, and the union of their axes. False: poison was pushed. */
static bool alike(np_lua *s, const char *name, int n, operand *o, np_val *all)
{
    np_dtype d;
    *all = (np_val){0};
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR && !o[i].v.node) return np_bind_poison(s, NULL), false;
    if (!common(s, NP_SELECT, name, 0, n, o, &d)) return false;
    for (int i = 0; i < n; i++) {
        operand two[2] = {{.kind = TENSOR, .v = *all}, o[i]};
        if (!merge_axes(s, name, 2, two, all)) return false;
        if (o[i].kind == LITERAL)
            o[i].v = np_bind_value(s, np_build_num(s->b, np_type_scalar(s->cx, d), o[i].num), 0, NULL);
        o[i].v.node = np_ops_convert(s, o[i].v.node, d);
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
    operand *o = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *o);
    np_axis_dim(s, a);
    if (!np_axis_size(s, a, np_dim_const(s->cx, n), np_str_new(s->cx, "stack"))) return np_bind_poison(s, NULL);
    for (int i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        take(s, lua_gettop(L), &o[i]);
        lua_pop(L, 1);
    }
    np_val all;
    if (!alike(s, "stack", n, o, &all)) return 1;
    if (np_bind_place(&all, a) >= 0) return np_bind_poison(s, "stack: axis %s would appear twice", a->name);
    if (all.rank == NP_RANK) return np_bind_poison(s, "stack: the result would have more than %d axes", NP_RANK);
    np_node **x = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = np_build_expand(s->b, np_bind_align(s, &o[i].v, all.rank, all.axis), all.rank, np_dim_const(s->cx, 1));
    all.axis[all.rank] = a;
    memmove(all.order + 1, all.order, (size_t)all.rank * sizeof *all.order);
    all.order[0] = a;
    return push_ordered(s, joined(s, n, x, all.rank), all.rank + 1, all.axis, all.order);
}

/* Along the axes from[i], which become a, where the first one stands. */
static int concat(np_lua *s, np_axis *a, int n, operand *o, np_axis *const *from)
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
            if (all.axis[j] == from[i] && from[i] != a) return np_bind_poison(s, "concat: axis %s stays in another operand", from[i]->name);
    for (int i = 0; i < n; i++) x[i] = np_bind_align(s, &o[i].v, all.rank, all.axis);
    return push_ordered(s, joined(s, n, x, np_bind_place(&all, a)), all.rank, all.axis, all.order);
}

static int l_concat(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 1);
    int n = lua_gettop(L) - 1;
    const np_dim *size = np_dim_const(s->cx, 0);
    if (n < 1) return np_lua_fail(s, "concat wants tensors with their axes: concat(D, {x, A}, {y, B})");
    operand *o = np_arena_array(&s->cx->tmp, (size_t)n, sizeof *o);
    np_axis **from = np_arena_array(&s->cx->tmp, (size_t)n, sizeof(np_axis *));
    for (int i = 0; i < n; i++) {
        luaL_checktype(L, i + 2, LUA_TTABLE);
        lua_geti(L, i + 2, 2);
        from[i] = np_bind_axis(s, lua_gettop(L));
        lua_geti(L, i + 2, 1);
        take(s, lua_gettop(L), &o[i]);
        if (o[i].kind == LITERAL) return np_lua_fail(s, "concat: a number has no axis %s", from[i]->name);
        if (o[i].v.node && np_bind_place(&o[i].v, from[i]) < 0)
            return np_bind_poison(s, "concat: %s has no axis %s", np_bind_text(s, lua_gettop(L), &o[i].v), from[i]->name);
        if (o[i].v.node) size = np_dim_add(s->cx, size, from[i]->dim);
        lua_pop(L, 2);
    }
    for (int i = 0; i < n; i++)
        if (!o[i].v.node) return np_bind_poison(s, NULL);
    np_axis_dim(s, a);
    if (!np_axis_size(s, a, size, np_str_new(s->cx, "concat"))) return np_bind_poison(s, NULL);
    return concat(s, a, n, o, from);
}

const luaL_Reg np_ops_functions[] = {{"sum", l_sum},       {"max", l_max},     {"min", l_min},       {"dot", l_dot},
                                     {"gather", l_gather}, {"stack", l_stack}, {"concat", l_concat}, {NULL, NULL}};

/* ---- registration: every elementwise op of ops.def, under its name or the one that Lua leaves free */
static void push_op(lua_State *L, np_op op, bool turned, const char *name)
{
    lua_pushinteger(L, op);
    lua_pushboolean(L, turned);
    lua_pushstring(L, name);
    lua_pushcclosure(L, l_elementwise, 3);
}

void np_ops_register(np_lua *s)
{
    static const struct {
        np_op op;
        const char *name;
    } renamed[] = {{NP_MIN, "minimum"}, {NP_MAX, "maximum"}, {NP_AND, "band"},    {NP_OR, "bor"},
                   {NP_XOR, "bxor"},    {NP_NOT, "bnot"},    {NP_SELECT, "where"}, {NP_CAST, NULL}};
    static const struct {
        const char *event, *name;
        np_op op;
    } meta[] = {{"__add", "+", NP_ADD},   {"__sub", "-", NP_SUB},  {"__mul", "*", NP_MUL},  {"__div", "/", NP_DIV},
                {"__pow", "^", NP_POW},   {"__mod", "%", NP_MOD},  {"__idiv", "//", NP_IDIV}, {"__band", "&", NP_AND},
                {"__bor", "|", NP_OR},    {"__bxor", "~", NP_XOR}, {"__shl", "<<", NP_SHL}, {"__shr", ">>", NP_SHR},
                {"__unm", "-", NP_NEG},   {"__bnot", "~", NP_NOT}};
    static const char *const kind[] = {"tensor", "size"};
    lua_State *L = s->L;
    for (int op = 0; op < NP_NOPS; op++) {
        const char *name = np_op_info((np_op)op)->text;
        if (np_op_info((np_op)op)->cls != NP_ELEM) continue;
        for (size_t i = 0; i < NP_LEN(renamed); i++)
            if ((int)renamed[i].op == op) name = renamed[i].name;
        if (!name) continue;
        push_op(L, (np_op)op, false, name);
        lua_setglobal(L, name);
    }
    push_op(L, NP_LT, true, "gt");
    lua_setglobal(L, "gt");
    push_op(L, NP_LE, true, "ge");
    lua_setglobal(L, "ge");
    for (size_t k = 0; k < NP_LEN(kind); k++) {
        luaL_getmetatable(L, kind[k]);
        for (size_t i = 0; i < NP_LEN(meta); i++) {
            push_op(L, meta[i].op, np_op_info(meta[i].op)->nargs == 1, meta[i].name); /* Lua passes the operand twice */
            lua_setfield(L, -2, meta[i].event);
        }
        lua_pushcfunction(L, l_compared);
        lua_setfield(L, -2, "__lt");
        lua_pushcfunction(L, l_compared);
        lua_setfield(L, -2, "__le");
        lua_pop(L, 1);
    }
}
