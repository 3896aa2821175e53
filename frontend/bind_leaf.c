/* Leaves: inputs, weights, constants, positions; and scopes, which name them.
 * All are built in the outermost block, wherever they are written, so that a
 * scan body sees slices of them. */
#include "bind.h"

#include <math.h>
#include <string.h>

static np_block *to_top(np_lua *s)
{
    np_block *here = s->b->at;
    s->b->at = &s->fn->top;
    return here;
}

/* ---- constants */
static int filled(np_lua *s, np_dtype d, double v)
{
    np_axis *axis[NP_RANK];
    int n = np_bind_axes(s, 1, axis);
    if (!np_bind_sized(s, n, axis, "a constant")) return np_bind_poison(s, NULL);
    np_block *here = to_top(s);
    np_node *x = np_build_num(s->b, np_bind_type(s, d, n, axis), v);
    s->b->at = here;
    return np_bind_push(s, np_bind_leaf(s, x, n, axis));
}

static int l_full(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_dtype d = NP_F32;
    if (lua_isboolean(L, 2)) return filled(s, NP_BOOL, lua_toboolean(L, 2));
    double v = luaL_checknumber(L, 2);
    np_bind_is_type(s, 3, &d);
    return filled(s, d, v);
}

static int l_zeros(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_dtype d = NP_F32;
    np_bind_is_type(s, 2, &d);
    return filled(s, d, 0);
}

/* Numbers of nested lists, row-major. */
static int64_t flatten(np_lua *s, double *out, int64_t n, int64_t most, bool *whole, int depth)
{
    lua_State *L = s->L;
    if (depth > NP_RANK) np_lua_fail(s, "const: lists nest deeper than %d", NP_RANK);
    luaL_checkstack(L, 4, NULL);
    lua_Integer len = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= len; i++) {
        int t = lua_geti(L, -1, i);
        if (t == LUA_TTABLE) {
            n = flatten(s, out, n, most, whole, depth + 1);
        } else {
            if (t != LUA_TNUMBER)
                np_lua_fail(s, "const: a list of numbers is wanted; entry %d is a %s", (int)i,
                            luaL_typename(L, -1));
            if (n < most) out[n] = lua_tonumber(L, -1);
            *whole &= lua_isinteger(L, -1);
            n++;
        }
        lua_pop(L, 1);
    }
    return n;
}

static int l_const(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *axis[NP_RANK];
    np_dtype d = NP_F32;
    bool whole = true;
    int64_t count = 1, k;
    luaL_checktype(L, 1, LUA_TTABLE);
    int n = np_bind_axes(s, 2, axis);
    lua_pushvalue(L, 1);
    int64_t have = flatten(s, NULL, 0, 0, &whole, 1);
    if (n == 1 && !np_axis_dim(s, axis[0]))
        np_axis_size(s, axis[0], np_dim_const(s->cx, have), np_str_new(s->cx, "const"));
    if (!np_bind_sized(s, n, axis, "const")) return np_bind_poison(s, NULL);
    for (int i = 0; i < n; i++) {
        if (!np_dim_int(axis[i]->dim, &k))
            return np_lua_fail(s, "const: axis %s has no fixed size", axis[i]->name);
        count *= k;
    }
    if (have != count)
        return np_bind_poison(s, "const: %lld numbers for (%s), which has %lld", (long long)have,
                              np_bind_axes_text(s, n, axis), (long long)count);
    double *data = np_arena_array(&s->cx->tmp, (size_t)count + 1, sizeof *data);
    flatten(s, data, 0, count, &whole, 1);
    if (!np_bind_is_type(s, 3, &d) && whole) d = NP_I32;
    for (int64_t i = 0; i < count; i++) data[i] = d == NP_F32 ? data[i] : np_round_to(d, data[i]);
    np_block *here = to_top(s);
    np_node *x = n == 0 ? np_build_num(s->b, np_type_scalar(s->cx, d), data[0])
                        : np_build_list(s->b, np_bind_type(s, d, n, axis), data);
    s->b->at = here;
    return np_bind_push(s, np_bind_leaf(s, x, n, axis));
}

/* Positions of an axis. Those of time go on counting when a sequence is continued. */
static int l_pos(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 1);
    if (!np_bind_sized(s, 1, &a, "pos")) return np_bind_poison(s, NULL);
    np_block *here = to_top(s);
    np_node *x = np_build_iota(s->b, a->dim);
    if (a->time) {
        np_node *n = np_build_size(s->b, np_axis_past(s));
        x = np_build_2(s->b, NP_ADD, x, np_build_expand(s->b, n, 0, a->dim));
    }
    s->b->at = here;
    return np_bind_push(s, np_bind_leaf(s, x, 1, &a));
}

static int l_look(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis_look(s, np_bind_axis(s, 1));
    return l_pos(L);
}

/* ---- inputs */
static const np_shape *shape_of(const np_lua *s, np_str name)
{
    for (int i = 0; s->o->shapes_known && i < s->o->nshapes; i++)
        if (strcmp(s->o->shape[i].name, name) == 0) return &s->o->shape[i];
    return NULL;
}

static bool is_given(const np_lua *s, np_str name)
{
    for (int i = 0; s->testing && i < s->ngiven; i++)
        if (strcmp(s->given[i], name) == 0) return true;
    return shape_of(s, name) != NULL;
}

/* One axis more than is declared, before the others, is a batch of independent
 * runs (tokens [B,T] for a model of tokens [T]), unless the model has its own. */
static bool is_rows(np_lua *s, const np_shape *h, int n, np_axis **axis)
{
    if (h->rank != n + 1 || h->dim[0] < 1 || (s->model->rows && s->model->rows != h->dim[0])) return false;
    for (int i = 0; i < n; i++)
        if (strcmp(axis[i]->name, "B") == 0) return false;
    s->model->rows = h->dim[0];
    return true;
}

/* The sizes that the given shape binds; false: reported. */
static bool bind_shape(np_lua *s, const np_shape *h, np_dtype d, int n, np_axis **axis)
{
    np_str by = np_str_fmt(s->cx, "input %s", h->name);
    np_shape row = *h;
    bool ok = true;
    if (is_rows(s, h, n, axis)) {
        row.rank = n;
        memmove(row.dim, row.dim + 1, (size_t)n * sizeof *row.dim);
        h = &row;
    }
    if (h->rank != n) {
        np_bind_poison(s, "input %s has %d axes, the model declares (%s)", h->name, h->rank,
                       np_bind_axes_text(s, n, axis));
        return false;
    }
    if (np_dtype_class(d) != 'F' && np_dtype_class(h->dtype) == 'F') {
        np_bind_poison(s, "input %s holds %s, the model wants %s", h->name, np_dtype_text(h->dtype),
                       np_dtype_text(d));
        return false;
    }
    for (int i = 0; i < n; i++) {
        int64_t asked;
        bool time = axis[i]->name == s->time_axis && (!axis[i]->dim || axis[i]->time);
        if (!time && s->o->pick && np_config_size(s, axis[i]->name, &asked))
            continue;            /* it wins over a self-test */
        if (h->dim[i] < !time) { /* a sequence may be empty */
            np_bind_poison(s, "input %s is empty: axis %s has size %lld", h->name, axis[i]->name,
                           (long long)h->dim[i]);
            return false;
        }
        if (!time) {
            np_axis_dim(s, axis[i]);
            ok &= np_axis_size(s, axis[i], np_dim_const(s->cx, h->dim[i]), by);
        } else if (s->time_len < 0) {
            s->time_len = h->dim[i];
            axis[i]->dim = NULL;
            np_axis_dim(s, axis[i]);
            np_axis_past(s);
            axis[i]->by = by;
        } else if (s->time_len != h->dim[i]) {
            np_bind_poison(s, "axis %s: its size is %lld in %s and %lld in %s", axis[i]->name,
                           (long long)s->time_len, axis[i]->by, (long long)h->dim[i], by);
            ok = false;
        }
    }
    return ok;
}

static np_node *declared(np_lua *s, np_str name)
{
    for (int i = 0; i < s->fn->top.nparams; i++)
        if (s->fn->top.param[i]->name == name) return s->fn->top.param[i];
    return NULL;
}

/* An axis that nothing gave a size: a batch that only inputs have is 1 unless told otherwise; others may be picked. */
static void settle(np_lua *s, np_axis *a, np_str name)
{
    const int64_t *pick = s->o->pick;
    bool batch = strcmp(a->name, "B") == 0;
    if (s->o->shapes_known || np_axis_dim(s, a) || a->name == s->time_axis || (!batch && !pick)) return;
    if (pick && pick[s->picked] == 0) s->picked = 0;
    np_axis_size(s, a, np_dim_const(s->cx, pick ? pick[s->picked++] : 1),
                 np_str_fmt(s->cx, "input %s", name));
}

/* An input with the axes that are known by now. */
static int param(np_lua *s, np_str name, np_dtype d, int n, np_axis **axis)
{
    const np_shape *h = shape_of(s, name);
    if (h && !bind_shape(s, h, d, n, axis)) return np_bind_poison(s, NULL);
    for (int i = 0; i < n && !h; i++) settle(s, axis[i], name);
    if (!np_bind_sized(s, n, axis, np_str_fmt(s->cx, "input %s", name))) return np_bind_poison(s, NULL);
    const np_type *t = np_bind_type(s, d, n, axis);
    np_node *x = declared(s, name);
    if (x && x->type != t)
        return np_bind_poison(s, "input %s is %s here and %s at line %d", name, np_type_str(s->cx, t),
                              np_type_str(s->cx, x->type), x->loc.line);
    if (!x) x = np_build_param(s->b, NP_IN, name, t);
    return np_bind_push(s, np_bind_leaf(s, x, n, axis));
}

/* Argument 2: the axes, or a list of lists, of which the one with as many axes as the given input counts. */
static int declared_axes(np_lua *s, np_str name, np_axis *axis[NP_RANK])
{
    const np_shape *h = shape_of(s, name);
    luaL_checktype(s->L, 2, LUA_TTABLE);
    bool choice = lua_geti(s->L, 2, 1) == LUA_TTABLE;
    lua_pop(s->L, 1);
    if (!choice) return np_bind_axes(s, 2, axis);
    int n = 0, count = (int)luaL_len(s->L, 2);
    for (int i = 1; i <= count; i++) {
        lua_geti(s->L, 2, i);
        n = np_bind_axes(s, lua_gettop(s->L), axis);
        lua_pop(s->L, 1);
        if (!h || h->rank == n) break;
    }
    return n;
}

static int l_input(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *axis[NP_RANK];
    np_dtype d = NP_F32;
    np_str name = np_str_new(s->cx, luaL_checkstring(L, 1));
    int n = declared_axes(s, name, axis), dflt = np_bind_is_type(s, 3, &d) ? 4 : 3;
    if (lua_type(L, dflt) == LUA_TSTRING)
        luaL_argerror(L, dflt, "a type is written without quotes: int, bool, f32, bf16 or f16");
    if (is_given(s, name)) return param(s, name, d, n, axis);
    if (!lua_isnoneornil(L, dflt)) {
        if (np_bind_is_val(s, dflt)) {
            lua_pushvalue(L, dflt);
            return 1;
        }
        double v = luaL_checknumber(L, dflt);
        lua_pushvalue(L, 2);
        lua_replace(L, 1);
        for (int i = 0; i < n; i++) settle(s, axis[i], name);
        return filled(s, d, v);
    }
    if (s->o->shapes_known || s->testing) return np_bind_poison(s, "input %s is not given", name);
    return param(s, name, d, n, axis);
}

static int l_given(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    lua_pushboolean(L, is_given(s, np_str_new(s->cx, luaL_checkstring(L, 1))));
    return 1;
}

/* ---- weights */
static np_str full_name(np_lua *s, int i)
{
    return np_str_fmt(s->cx, "%s%s", s->prefix, luaL_checkstring(s->L, i));
}

static int l_weight(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *axis[NP_RANK];
    np_dtype d = NP_F32;
    np_str name = full_name(s, 1), as_input = np_str_fmt(s->cx, "weight.%s", name);
    int n = np_bind_axes(s, 2, axis);
    np_bind_is_type(s, 3, &d);
    if (shape_of(s, as_input)) return param(s, as_input, d, n, axis);
    const np_stored *have = s->o->checkpoint ? np_weights_find(s->o->checkpoint, s->model, name) : NULL;
    for (int i = 0; have && have->rank == n && i < n; i++)
        if (!np_axis_dim(s, axis[i]))
            np_axis_size(s, axis[i], np_dim_const(s->cx, have->dim[i]), np_str_fmt(s->cx, "weight %s", name));
    if (!np_bind_sized(s, n, axis, np_str_fmt(s->cx, "weight %s", name))) return np_bind_poison(s, NULL);
    if (!np_mod_declare(s->fn->mod, s->b->loc, name, np_bind_type(s, d, n, axis))) {
        s->mistakes++; /* reported */
        return np_bind_poison(s, NULL);
    }
    np_block *here = to_top(s);
    np_node *x = np_build_weight(s->b, name);
    s->b->at = here;
    return np_bind_push(s, np_bind_leaf(s, x, n, axis));
}

static int l_has_weight(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_str name = full_name(s, 1);
    bool there = shape_of(s, np_str_fmt(s->cx, "weight.%s", name)) != NULL;
    if (!there && s->o->checkpoint) there = np_weights_find(s->o->checkpoint, s->model, name) != NULL;
    lua_pushboolean(L, there);
    return 1;
}

/* weight_shape(name): the sizes that it is stored with, as a list; nil where the checkpoint lacks it */
static int l_weight_shape(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_str name = full_name(s, 1);
    const np_shape *given = shape_of(s, np_str_fmt(s->cx, "weight.%s", name));
    const np_stored *have =
        !given && s->o->checkpoint ? np_weights_find(s->o->checkpoint, s->model, name) : NULL;
    if (!given && !have) return 0;
    int rank = given ? given->rank : have->rank;
    lua_createtable(L, rank, 0);
    for (int i = 0; i < rank; i++) {
        lua_pushinteger(L, given ? given->dim[i] : have->dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* scope("layers", 3, f): weights are called layers.3.., messages say layers[3] */
static int l_scope(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_str text = s->scope, prefix = s->prefix;
    const char *name = luaL_checkstring(L, 1), *dot = text && *text ? "." : "";
    bool numbered = !lua_isfunction(L, 2);
    lua_Integer k = numbered ? luaL_checkinteger(L, 2) : 0;
    luaL_checktype(L, numbered ? 3 : 2, LUA_TFUNCTION);
    if (prefix && strlen(prefix) + strlen(name) > 400)
        return np_lua_fail(s, "scopes nest too deeply: %s%s", prefix, name);
    s->scope = numbered ? np_str_fmt(s->cx, "%s%s%s[%d]", text, dot, name, (int)k)
                        : np_str_fmt(s->cx, "%s%s%s", text, dot, name);
    s->prefix = numbered ? np_str_fmt(s->cx, "%s%s.%d.", prefix, name, (int)k)
                         : np_str_fmt(s->cx, "%s%s.", prefix, name);
    lua_settop(L, numbered ? 3 : 2);
    lua_call(L, 0, LUA_MULTRET);
    s->scope = text;
    s->prefix = prefix;
    return lua_gettop(L) - (numbered ? 2 : 1);
}

const luaL_Reg np_leaf_functions[] = {{"full", l_full},
                                      {"zeros", l_zeros},
                                      {"const", l_const},
                                      {"iota", l_pos},
                                      {"pos", l_look},
                                      {"input", l_input},
                                      {"given", l_given},
                                      {"weight", l_weight},
                                      {"has_weight", l_has_weight},
                                      {"weight_shape", l_weight_shape},
                                      {"scope", l_scope},
                                      {NULL, NULL}};
