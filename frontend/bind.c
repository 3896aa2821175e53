/* Lua values of the language: axes, tensors, symbolic integers, element types.
 *
 * A tensor knows its axes by name; operands are aligned here, by permute and
 * expand, before the positional IR sees them. np_bind_see gives a tensor as
 * the innermost open scan sees it: made outside and with the scan's axis, it is
 * fed and becomes its slice; without that axis it is captured as it is. Leaves
 * are born outside of every scan wherever they are written. */
#include "bind.h"

#include <string.h>

static const char AXIS[] = "axis", VAL[] = "tensor", DIM[] = "size", TYPE[] = "type";

np_lua *np_bind_call(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    s->budget -= NP_LUA_OP_COST;
    if (s->fn) s->b->loc = np_lua_loc(s);
    return s;
}

np_lua *np_bind_enter(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    if (!s->fn) np_lua_fail(s, "tensors are made by the model's build function while it runs, nowhere else");
    return s;
}

/* ---- values */
np_axis *np_bind_is_axis(np_lua *s, int i)
{
    return luaL_testudata(s->L, i, AXIS);
}

np_val *np_bind_is_val(np_lua *s, int i)
{
    return luaL_testudata(s->L, i, VAL);
}

np_axis *np_bind_axis(np_lua *s, int i)
{
    np_axis *a = luaL_testudata(s->L, i, AXIS);
    if (!a) luaL_typeerror(s->L, i, "axis");
    return a;
}

bool np_bind_is_type(np_lua *s, int i, np_dtype *out)
{
    np_dtype *d = luaL_testudata(s->L, i, TYPE);
    if (d) *out = *d;
    return d != NULL;
}

const np_dim *np_bind_is_dim(np_lua *s, int i)
{
    const np_dim **d = luaL_testudata(s->L, i, DIM);
    return d ? *d : NULL;
}

const np_dim *np_bind_dim(np_lua *s, int i)
{
    const np_dim *d = np_bind_is_dim(s, i);
    if (!d && !lua_isinteger(s->L, i) && lua_type(s->L, i) == LUA_TNUMBER) {
        lua_Number v = lua_tonumber(s->L, i);
        if (v == (lua_Number)(int32_t)v) return np_dim_const(s->cx, (int64_t)v);
    }
    if (!d && !lua_isinteger(s->L, i)) luaL_typeerror(s->L, i, "whole number or size");
    if (!d) d = np_dim_const(s->cx, lua_tointeger(s->L, i));
    return d;
}

void np_bind_push_dim(np_lua *s, const np_dim *d)
{
    int64_t k;
    if (np_dim_int(d, &k)) {
        lua_pushinteger(s->L, k);
        return;
    }
    const np_dim **p = lua_newuserdatauv(s->L, sizeof *p, 0);
    *p = d;
    luaL_setmetatable(s->L, DIM);
}

void np_bind_push_axis(np_lua *s, np_axis *a)
{
    lua_getfield(s->L, LUA_REGISTRYINDEX, "np.axes");
    lua_getfield(s->L, -1, a->name);
    lua_remove(s->L, -2);
}

int np_bind_push(np_lua *s, np_val v)
{
    if (v.node && v.node->op == NP_BAD) {
        s->mistakes++; /* the builder said why */
        v.node = NULL;
    }
    np_val *p = lua_newuserdatauv(s->L, sizeof *p, 0);
    *p = v;
    luaL_setmetatable(s->L, VAL);
    return 1;
}

int np_bind_poison(np_lua *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        np_lua_error(s, np_lua_loc(s), "%s", text);
        if (s->mistakes >= NP_LUA_ERRORS) np_lua_fail(s, "too many mistakes; the rest is not read");
    }
    return np_bind_push(s, (np_val){0});
}

static np_val born(np_lua *s, np_node *n, int rank, np_axis *const *axis, int birth)
{
    np_val v = {.node = n, .rank = rank, .birth = birth};
    for (int i = 0; i < rank; i++) v.axis[i] = v.order[i] = axis[i];
    if (birth) v.serial = s->frame[birth - 1].serial;
    if (n && n->type && !n->axes && rank && !n->type->tuple && n->type->rank == rank)
        n->axes = np_bind_axes_text(s, rank, axis);
    return v;
}

np_val np_bind_value(np_lua *s, np_node *n, int rank, np_axis *const *axis)
{
    return born(s, n, rank, axis, s->nframes);
}

np_val np_bind_leaf(np_lua *s, np_node *n, int rank, np_axis *const *axis)
{
    return born(s, n, rank, axis, 0);
}

/* ---- axes of tensors */
void np_bind_drop(np_axis **list, int rank, const np_axis *a)
{
    int k = 0;
    for (int i = 0; i < rank; i++)
        if (list[i] != a) list[k++] = list[i];
}

int np_bind_place(const np_val *v, const np_axis *a)
{
    for (int i = 0; i < v->rank; i++)
        if (v->axis[i] == a) return i;
    return -1;
}

static np_node *order(np_lua *s, const np_val *v, const int *from)
{
    char spec[2 * NP_RANK + 3];
    bool same = true;
    int n = v->rank, k = 0;
    for (int i = 0; i < n; i++) {
        spec[k++] = (char)('a' + i);
        same &= from[i] == i;
    }
    if (same) return v->node;
    spec[k++] = '-';
    spec[k++] = '>';
    for (int i = 0; i < n; i++) spec[k++] = (char)('a' + from[i]);
    spec[k] = 0;
    return np_build_permute(s->b, v->node, spec);
}

np_node *np_bind_align(np_lua *s, const np_val *v, int rank, np_axis *const *axis)
{
    int from[NP_RANK] = {0}, n = 0;
    for (int i = 0; i < rank; i++) {
        int p = np_bind_place(v, axis[i]);
        if (p >= 0 && n < NP_RANK) from[n++] = p;
    }
    if (n != v->rank)
        np_bug(s->cx, "align: an axis of (%s) is missing", np_bind_axes_text(s, v->rank, v->axis));
    np_node *x = order(s, v, from);
    for (int i = 0; i < rank; i++)
        if (np_bind_place(v, axis[i]) < 0) x = np_build_expand(s->b, x, i, axis[i]->dim);
    return x;
}

/* x made in an outer block, axis `at` first, as the slice of the open scan. */
static np_val feed(np_lua *s, const np_frame *f, np_val v, int at)
{
    int from[NP_RANK] = {at}, n = 1;
    np_axis *rest[NP_RANK];
    for (int i = 0; i < v.rank; i++) {
        if (i == at) continue;
        rest[n - 1] = v.axis[i];
        from[n++] = i;
    }
    np_block *here = s->b->at;
    s->b->at = f->outer;
    np_node *x = order(s, &v, from);
    s->b->at = here;
    np_node *p = np_build_feed(s->b, f->scan, x);
    if (!p->name) p->name = v.node->name;
    np_val out = born(s, p, v.rank - 1, rest, (int)(f - s->frame) + 1);
    np_bind_drop(v.order, v.rank, f->axis);
    memcpy(out.order, v.order, sizeof out.order);
    return out;
}

static np_val see_val(np_lua *s, np_val v)
{
    if (!v.node) return v;
    if (v.birth > s->nframes || (v.birth && s->frame[v.birth - 1].serial != v.serial)) {
        np_bind_poison(s, "a tensor (%s) made inside a scan is used outside of it: return it from the body",
                       np_bind_axes_text(s, v.rank, v.axis));
        lua_pop(s->L, 1);
        return (np_val){0};
    }
    for (int d = v.birth; d < s->nframes; d++) {
        int at = np_bind_place(&v, s->frame[d].axis);
        if (at >= 0) v = feed(s, &s->frame[d], v, at);
    }
    v.birth = s->nframes;
    v.serial = v.birth ? s->frame[v.birth - 1].serial : 0;
    return v;
}

np_val np_bind_see(np_lua *s, int i)
{
    np_val *v = np_bind_is_val(s, i);
    const np_dim *d = np_bind_is_dim(s, i);
    if (v) return see_val(s, *v);
    if (d) return np_bind_value(s, np_build_size(s->b, d), 0, NULL);
    np_dtype t = lua_isinteger(s->L, i) ? NP_I32 : NP_F32;
    if (lua_type(s->L, i) == LUA_TBOOLEAN)
        return np_bind_value(s, np_build_num(s->b, np_type_scalar(s->cx, NP_BOOL), lua_toboolean(s->L, i)), 0,
                             NULL);
    if (lua_type(s->L, i) != LUA_TNUMBER) luaL_typeerror(s->L, i, "tensor or number");
    return np_bind_value(s, np_build_num(s->b, np_type_scalar(s->cx, t), lua_tonumber(s->L, i)), 0, NULL);
}

int np_bind_axes(np_lua *s, int i, np_axis *out[NP_RANK])
{
    int n = 0;
    luaL_checktype(s->L, i, LUA_TTABLE);
    lua_Integer len = luaL_len(s->L, i);
    if (len > NP_RANK) np_lua_fail(s, "a tensor has at most %d axes; %d are listed", NP_RANK, (int)len);
    for (; n < len; n++) {
        lua_geti(s->L, i, n + 1);
        out[n] = np_bind_is_axis(s, -1);
        if (!out[n])
            np_lua_fail(s, "entry %d of the list is no axis but a %s", n + 1, luaL_typename(s->L, -1));
        for (int j = 0; j < n; j++)
            if (out[j] == out[n]) np_lua_fail(s, "axis %s appears twice in one tensor", out[n]->name);
        lua_pop(s->L, 1);
    }
    return n;
}

bool np_bind_sized(np_lua *s, int rank, np_axis *const *axis, const char *what)
{
    bool ok = true;
    for (int i = 0; i < rank; i++) {
        if (np_axis_dim(s, axis[i])) continue;
        ok = false;
        if (axis[i]->reported) continue;
        axis[i]->reported = true;
        np_bind_poison(
            s, "%s: the size of axis %s is not known; give it with axis(\"%s\", size) or --set size.%s=..",
            what, axis[i]->name, axis[i]->name, axis[i]->name);
        lua_pop(s->L, 1);
    }
    return ok;
}

const np_type *np_bind_type(np_lua *s, np_dtype d, int rank, np_axis *const *axis)
{
    const np_dim *dim[NP_RANK];
    for (int i = 0; i < rank; i++) dim[i] = axis[i]->dim;
    return np_type_tensor(s->cx, d, rank, dim);
}

/* ---- texts */
np_str np_bind_axes_text(np_lua *s, int rank, np_axis *const *axis)
{
    char buf[512];
    size_t k = 0;
    buf[0] = 0;
    for (int i = 0; i < rank && k < sizeof buf; i++)
        k += (size_t)snprintf(buf + k, sizeof buf - k, i ? ",%s" : "%s", axis[i]->name);
    return np_str_new(s->cx, buf);
}

/* The name of the local variable of a user's function that holds argument i. */
static np_str local_name(np_lua *s, int i)
{
    lua_Debug ar;
    const char *name;
    np_str found = NULL;
    const void *p = lua_touserdata(s->L, i);
    for (int level = 1; !found && lua_getstack(s->L, level, &ar); level++) {
        for (int k = 1; (name = lua_getlocal(s->L, &ar, k)) != NULL; k++) {
            if (lua_touserdata(s->L, -1) == p && name[0] != '(') found = np_str_new(s->cx, name);
            lua_pop(s->L, 1);
        }
    }
    return found;
}

np_str np_bind_text(np_lua *s, int i, const np_val *v)
{
    np_str name = i && lua_touserdata(s->L, i) ? local_name(s, i) : NULL;
    if (!name && v->node) name = v->node->name;
    np_str axes = np_bind_axes_text(s, v->rank, v->axis);
    return name ? np_str_fmt(s->cx, "%s (%s)", name, axes) : np_str_fmt(s->cx, "a tensor (%s)", axes);
}

static int axis_text(lua_State *L)
{
    np_axis *a = luaL_checkudata(L, 1, AXIS);
    lua_pushstring(L, a->name);
    return 1;
}

static int val_text(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    np_val *v = luaL_checkudata(L, 1, VAL);
    lua_pushstring(L, v->node ? np_str_fmt(s->cx, "%s over (%s)", np_dtype_text(v->node->type->dtype),
                                           np_bind_axes_text(s, v->rank, v->axis))
                              : "a tensor that could not be made");
    return 1;
}

static int dim_text(lua_State *L)
{
    const np_dim **d = luaL_checkudata(L, 1, DIM);
    lua_pushstring(L, np_dim_str(np_lua_of(L)->cx, *d));
    return 1;
}

static int dim_same(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    const np_dim *a = np_bind_is_dim(s, 1), *b = np_bind_is_dim(s, 2);
    lua_pushboolean(L, a && a == b);
    return 1;
}

static int type_text(lua_State *L)
{
    np_dtype *d = luaL_checkudata(L, 1, TYPE);
    lua_pushstring(L, np_dtype_text(*d));
    return 1;
}

/* int(x), f32(x), .. */
static int type_call(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_dtype *d = luaL_checkudata(L, 1, TYPE);
    np_val v = np_bind_see(s, 2);
    if (!v.node) return np_bind_push(s, v);
    return np_bind_push(s, np_bind_value(s, np_build_cast(s->b, v.node, *d), v.rank, v.axis));
}

/* ---- opening */
static void metatable(lua_State *L, const char *name, lua_CFunction text)
{
    luaL_newmetatable(L, name);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, text);
    lua_setfield(L, -2, "__tostring");
}

static void methods(lua_State *L, const luaL_Reg *list)
{
    lua_newtable(L);
    luaL_setfuncs(L, list, 0);
    lua_setfield(L, -2, "__index");
}

void np_bind_open(np_lua *s)
{
    static const struct {
        const char *name;
        np_dtype d;
    } type[] = {{"int", NP_I32}, {"i32", NP_I32}, {"bool", NP_BOOL},
                {"f32", NP_F32}, {"f16", NP_F16}, {"bf16", NP_BF16}};
    lua_State *L = s->L;
    metatable(L, AXIS, axis_text);
    methods(L, np_axis_methods);
    metatable(L, VAL, val_text);
    methods(L, np_axis_values);
    metatable(L, DIM, dim_text);
    lua_pushcfunction(L, dim_same);
    lua_setfield(L, -2, "__eq");
    metatable(L, TYPE, type_text);
    lua_pushcfunction(L, type_call);
    lua_setfield(L, -2, "__call");
    lua_settop(L, 0);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "np.axes");
    for (size_t i = 0; i < NP_LEN(type); i++) {
        np_dtype *d = lua_newuserdatauv(L, sizeof *d, 0);
        *d = type[i].d;
        luaL_setmetatable(L, TYPE);
        lua_setglobal(L, type[i].name);
    }
    lua_pushglobaltable(L);
    luaL_setfuncs(L, np_axis_functions, 0);
    luaL_setfuncs(L, np_sum_functions, 0);
    luaL_setfuncs(L, np_leaf_functions, 0);
    luaL_setfuncs(L, np_scan_functions, 0);
    lua_settop(L, 0);
    np_ops_register(s);
}
