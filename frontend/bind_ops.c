/* Elementwise ops on named axes: operands are aligned by axis to the union of
 * their axes, then one positional op is built. Every elementwise op of ops.def
 * is a function of the language; Lua's operators are some of them. */
#include "bind.h"

#include <string.h>

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

static int numbers(np_lua *s, np_op op, int n, const np_operand *o)
{
    double v[NP_LUA_OPERANDS] = {0};
    bool whole = np_operand_takes(op) != 'F';
    for (int i = 0; i < n; i++) {
        v[i] = o[i].num;
        if (op != NP_SELECT || i) whole &= o[i].type == NP_I32;
    }
    double r = np_fold_number(op, whole ? NP_I64 : NP_F64, v);
    if (np_operand_takes(op) == 'C' || (np_operand_takes(op) == 'L' && o[0].type == NP_BOOL))
        lua_pushboolean(s->L, r != 0);
    else if (whole)
        lua_pushinteger(s->L, (lua_Integer)r);
    else
        lua_pushnumber(s->L, r);
    return 1;
}

/* x^2 and the like are other ops, exactly. */
static np_node *power(np_lua *s, np_node *x, const np_operand *e)
{
    if (e->kind != LITERAL) return NULL;
    if (e->num == 2) return np_build_2(s->b, NP_MUL, x, x);
    if (e->num == 1) return x;
    if (e->num == 0.5) return np_build_1(s->b, NP_SQRT, x);
    if (e->num == -0.5) return np_build_1(s->b, NP_RSQRT, x);
    if (e->num == -1) return np_build_1(s->b, NP_RECIP, x);
    return NULL;
}

int np_ops_elementwise(np_lua *s, np_op op, const char *name, int n)
{
    np_operand o[NP_LUA_OPERANDS] = {0};
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
        np_operand_take(s, i + 1, &o[i]);
        tensors += o[i].kind == TENSOR;
    }
    for (int i = 0; i < n; i++)
        if (o[i].kind == TENSOR && !o[i].v.node) return np_bind_poison(s, NULL);
    if (tensors == 0 && (op != NP_SELECT || o[0].type == NP_BOOL)) return numbers(s, op, n, o);
    if (op == NP_SELECT && o[0].type != NP_BOOL)
        return np_operand_refuse(s, name, 1, &o[0], "a bool first", "");
    if (!np_operand_common(s, op, name, op == NP_SELECT, n, o, &d) || !np_operand_union(s, name, n, o, &all))
        return 1;
    for (int i = 0; i < n; i++) {
        np_dtype want = op == NP_SELECT && i == 0 ? NP_BOOL : d;
        if (o[i].kind == LITERAL)
            x[i] = np_build_num(s->b, np_bind_type(s, want, all.rank, all.axis), o[i].num);
        else
            o[i].v.node = np_operand_convert(s, o[i].v.node, want),
            x[i] = np_bind_align(s, &o[i].v, all.rank, all.axis);
    }
    np_node *r = op == NP_POW ? power(s, x[0], &o[1]) : NULL;
    if (!r) r = np_build_op(s->b, op, n, x, NULL);
    return np_operand_push(s, r, all.rank, all.axis, all.order);
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
    return np_ops_elementwise(s, op, lua_tostring(L, lua_upvalueindex(3)), n);
}

static int l_compared(lua_State *L)
{
    return np_lua_fail(np_bind_enter(L),
                       "Lua makes a boolean of < and <=: write lt(a, b), le(a, b), gt(a, b) or ge(a, b)");
}

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
    } renamed[] = {{NP_MIN, "minimum"}, {NP_MAX, "maximum"}, {NP_AND, "band"},     {NP_OR, "bor"},
                   {NP_XOR, "bxor"},    {NP_NOT, "bnot"},    {NP_SELECT, "where"}, {NP_CAST, NULL}};
    static const struct {
        const char *event, *name;
        np_op op;
    } meta[] = {{"__add", "+", NP_ADD},    {"__sub", "-", NP_SUB},  {"__mul", "*", NP_MUL},
                {"__div", "/", NP_DIV},    {"__pow", "^", NP_POW},  {"__mod", "%", NP_MOD},
                {"__idiv", "//", NP_IDIV}, {"__band", "&", NP_AND}, {"__bor", "|", NP_OR},
                {"__bxor", "~", NP_XOR},   {"__shl", "<<", NP_SHL}, {"__shr", ">>", NP_SHR},
                {"__unm", "-", NP_NEG},    {"__bnot", "~", NP_NOT}};
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
            push_op(L, meta[i].op, np_op_info(meta[i].op)->nargs == 1,
                    meta[i].name); /* Lua passes the operand twice */
            lua_setfield(L, -2, meta[i].event);
        }
        lua_pushcfunction(L, l_compared);
        lua_setfield(L, -2, "__lt");
        lua_pushcfunction(L, l_compared);
        lua_setfield(L, -2, "__le");
        lua_pop(L, 1);
    }
}
