/* Self-tests: tests = { small = { config, sizes, inputs, weights, expect, tol } }.
 *
 * The model is built with the test's config and sizes; inputs and weights are
 * filled by rule; `expect` says what must come out, as numbers or as functions
 * of the indices (from 0), written as plain Lua loops over the same inputs:
 *     expect = function(x) return { o = function(t, d) return 2 * x.a(t, d) end } end */
#include "load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PORTS = 64, VALUES = 1 << 22 };

/* ---- reading the test's table */
static void setting(np_lua *s, np_str key, const char *from)
{
    lua_State *L = s->L;
    int t = lua_type(L, -1);
    if (t == LUA_TBOOLEAN)
        np_settings_bool(s->cx, &s->test, key, lua_toboolean(L, -1), from);
    else
        np_settings_num(s->cx, &s->test, key, t == LUA_TNUMBER ? lua_tonumber(L, -1) : 0, from);
    np_setting *v = &s->test.s[s->test.n - 1];
    if (t == LUA_TSTRING) {
        v->kind = NP_SET_STR;
        v->str = np_str_new(s->cx, lua_tostring(L, -1));
    } else if (t == LUA_TTABLE) {
        v->kind = NP_SET_LIST;
        v->n = (int)luaL_len(L, -1);
        v->list = np_arena_array(&s->cx->perm, (size_t)v->n + 1, sizeof *v->list);
        for (int i = 0; i < v->n; i++) {
            lua_geti(L, -1, i + 1);
            v->list[i] = lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
    }
}

static void settings(np_lua *s, int test, const char *field, const char *prefix)
{
    lua_State *L = s->L;
    int t = lua_getfield(L, test, field);
    if (t != LUA_TNIL && t != LUA_TTABLE) np_lua_fail(s, "test %s: %s must be a table", s->test_name, field);
    if (t == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                np_lua_fail(s, "test %s: %s: names are wanted as keys", s->test_name, field);
            setting(s, np_str_fmt(s->cx, "%s%s", prefix, lua_tostring(L, -2)), "the self-test");
        }
    lua_pop(L, 1);
}

static void given(np_lua *s, int test)
{
    lua_State *L = s->L;
    s->given = np_arena_array(&s->cx->perm, PORTS, sizeof *s->given);
    if (lua_getfield(L, test, "inputs") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            if (lua_type(L, -2) == LUA_TSTRING && s->ngiven < PORTS)
                s->given[s->ngiven++] = np_str_new(s->cx, lua_tostring(L, -2));
    lua_pop(L, 1);
}

/* ---- tensors */
static np_tensor shaped(np_lua *s, const np_type *t)
{
    np_env e = {0};
    int64_t dim[NP_RANK], count = 1;
    np_env_set(&e, np_dim_sym(s->cx, "T"), s->time_len > 0 ? s->time_len : 1);
    np_env_set(&e, np_dim_sym(s->cx, "N"), 0);
    for (int i = 0; i < t->rank; i++) {
        if (!np_dim_eval(t->dim[i], &e, &dim[i]) || dim[i] < 0 || (count *= dim[i]) > VALUES)
            np_lua_fail(s, "test %s: %s is too large", s->test_name, np_type_str(s->cx, t));
    }
    return np_tensor_new(t->dtype, t->rank, dim);
}

static int64_t list_values(np_lua *s, np_tensor *t, int64_t n, int64_t count, int depth)
{
    lua_State *L = s->L;
    if (depth > NP_RANK) np_lua_fail(s, "test %s: lists nest deeper than %d", s->test_name, NP_RANK);
    luaL_checkstack(L, 4, NULL);
    int len = (int)luaL_len(L, -1);
    for (int i = 1; i <= len; i++) {
        if (lua_geti(L, -1, i) == LUA_TTABLE) {
            n = list_values(s, t, n, count, depth + 1);
        } else {
            if (n < count) t->data[n] = luaL_checknumber(L, -1);
            n++;
        }
        lua_pop(L, 1);
    }
    return n;
}

/* Calls the function at the top of the stack for every index. */
static void function_values(np_lua *s, np_tensor *t)
{
    lua_State *L = s->L;
    int64_t at[NP_RANK] = {0}, count = np_tensor_count(t);
    luaL_checkstack(L, NP_RANK + 4, NULL);
    for (int64_t i = 0; i < count; i++) {
        lua_pushvalue(L, -1);
        for (int k = 0; k < t->rank; k++) lua_pushinteger(L, at[k]);
        lua_call(L, t->rank, 1);
        if (lua_type(L, -1) == LUA_TBOOLEAN)
            t->data[i] = lua_toboolean(L, -1);
        else
            t->data[i] = luaL_checknumber(L, -1);
        lua_pop(L, 1);
        for (int k = t->rank - 1; k >= 0 && ++at[k] == t->dim[k]; k--) at[k] = 0;
    }
}

/* Fills t by the rule at the top of the stack. */
static void fill(np_lua *s, np_str name, np_tensor *t, int shift)
{
    lua_State *L = s->L;
    int64_t count = np_tensor_count(t);
    bool whole = np_dtype_class(t->dtype) != 'F', random = false;
    double r[3] = {0, whole ? 0 : -1, whole ? 8 : 1}; /* { random = seed, least, most } */
    int kind = lua_type(L, -1);
    if (kind == LUA_TTABLE) {
        random = lua_getfield(L, -1, "random") == LUA_TNUMBER;
        r[0] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    if (random) {
        for (int i = 1; i < 3; i++) {
            if (lua_geti(L, -1, i) == LUA_TNUMBER) r[i] = lua_tonumber(L, -1);
            lua_pop(L, 1);
        }
        np_tensor u = np_tensor_new(NP_F64, t->rank, t->dim);
        np_tensor_random(&u, (uint64_t)r[0] + (uint64_t)shift * 1000);
        for (int64_t i = 0; i < count; i++) {
            double v = r[1] + (r[2] - r[1]) * (u.data[i] + 1) / 2;
            t->data[i] = whole ? floor(v) : v;
        }
        np_tensor_free(&u);
    } else if (kind == LUA_TTABLE) {
        int64_t n = list_values(s, t, 0, count, 1);
        if (n != count)
            np_lua_fail(s, "test %s: %lld numbers for %s, which has %lld", s->test_name, (long long)n, name,
                        (long long)count);
    } else if (kind == LUA_TNUMBER) {
        for (int64_t i = 0; i < count; i++) t->data[i] = lua_tonumber(L, -1);
    } else if (kind == LUA_TFUNCTION) {
        lua_getglobal(L, "iota");
        bool counts = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        for (int64_t i = 0; counts && i < count; i++) t->data[i] = (double)i;
        if (!counts) function_values(s, t);
    } else {
        np_lua_fail(s,
                    "test %s: %s: a rule is a list, a number, a function of the indices, iota or { random = "
                    "seed, least, most }",
                    s->test_name, name);
    }
}

static void rounded(np_tensor *t)
{
    for (int64_t i = 0; i < np_tensor_count(t); i++) t->data[i] = np_round_to(t->dtype, t->data[i]);
}

/* x.name(i, j, ..) in an expectation */
static int element(lua_State *L)
{
    np_tensor *t = lua_touserdata(L, lua_upvalueindex(1));
    int64_t at = 0;
    if (lua_gettop(L) != t->rank)
        return np_lua_fail(np_lua_of(L), "%d indices for a tensor of %d axes", lua_gettop(L), t->rank);
    for (int k = 0; k < t->rank; k++) {
        lua_Integer i = luaL_checkinteger(L, k + 1);
        if (i < 0 || i >= t->dim[k])
            return np_lua_fail(np_lua_of(L), "index %d of axis %d: it has %d", (int)i, k, (int)t->dim[k]);
        at = at * t->dim[k] + i;
    }
    if (np_dtype_class(t->dtype) == 'F')
        lua_pushnumber(L, t->data[at]);
    else
        lua_pushinteger(L, (lua_Integer)t->data[at]);
    return 1;
}

static void push_tensor(lua_State *L, np_tensor *t)
{
    lua_pushlightuserdata(L, t);
    lua_pushcclosure(L, element, 1);
}

/* ---- inputs, weights, expectation; the table x stays at index x */
static void make_inputs(np_lua *s, int test, int x)
{
    lua_State *L = s->L;
    np_case *c = s->out;
    const np_fn *f = np_mod_fn(s->model->mod, "main");
    c->in = np_arena_array(&s->cx->perm, (size_t)f->ninputs + 1, sizeof *c->in);
    c->in_name = np_arena_array(&s->cx->perm, (size_t)f->ninputs + 1, sizeof *c->in_name);
    lua_getfield(L, test, "inputs");
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        c->in_name[i] = p->name;
        c->in[i] = shaped(s, p->type);
        c->nin = i + 1;
        lua_getfield(L, -1, p->name);
        fill(s, p->name, &c->in[i], 0);
        rounded(&c->in[i]);
        lua_pop(L, 1);
        push_tensor(L, &c->in[i]);
        lua_setfield(L, x, p->name);
    }
    lua_pop(L, 1);
}

/* Every stored weight by the one rule of the test, or by a table of rules. */
static void make_weights(np_lua *s, int test, int x)
{
    lua_State *L = s->L;
    np_mod *m = s->model->mod;
    lua_newtable(L);
    int t = lua_gettop(L), rule = lua_getfield(L, test, "weights");
    bool each = rule == LUA_TTABLE && lua_getfield(L, -1, "random") != LUA_TNUMBER;
    lua_settop(L, t + 1);
    if (m->nweights && rule == LUA_TNIL)
        np_lua_fail(s, "test %s: the model has weights; say weights = { random = seed }", s->test_name);
    for (int i = 0; i < m->nweights; i++) {
        np_weight *w = m->weight[i];
        np_tensor *v = np_arena_alloc(&s->cx->perm, sizeof *v);
        if (each)
            lua_getfield(L, t + 1, w->name);
        else
            lua_pushvalue(L, t + 1);
        np_tensor made = shaped(s, w->type); /* its numbers move into the context's memory */
        *v = made;
        v->data = np_arena_copy(&s->cx->perm, made.data, (size_t)np_tensor_count(&made) * sizeof *made.data);
        np_tensor_free(&made);
        fill(s, w->name, v, i + 1);
        rounded(v);
        lua_pop(L, 1);
        w->stored = NP_F64;
        w->data = v->data;
        push_tensor(L, v);
        lua_setfield(L, t, w->name);
    }
    lua_settop(L, t);
    lua_setfield(L, x, "weight");
}

static void make_expected(np_lua *s, int test, int x)
{
    lua_State *L = s->L;
    np_case *c = s->out;
    const np_fn *f = np_mod_fn(s->model->mod, "main");
    c->out = np_arena_array(&s->cx->perm, (size_t)f->nouts + 1, sizeof *c->out);
    c->out_name = np_arena_array(&s->cx->perm, (size_t)f->nouts + 1, sizeof *c->out_name);
    if (lua_getfield(L, test, "expect") == LUA_TFUNCTION) {
        lua_pushvalue(L, x);
        lua_call(L, 1, 1);
    }
    if (!lua_istable(L, -1))
        np_lua_fail(s, "test %s: expect is a table of outputs, or a function that returns one", s->test_name);
    int seen = 0, wanted = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) wanted++;
    for (int i = 0; i < f->nouts; i++) {
        if (lua_getfield(L, -1, f->out_name[i]) != LUA_TNIL) {
            c->out_name[seen] = f->out_name[i];
            c->out[seen] = shaped(s, f->out_type[i]);
            c->nout = ++seen;
            fill(s, f->out_name[i], &c->out[seen - 1], 0);
        }
        lua_pop(L, 1);
    }
    if (seen == 0 || seen != wanted)
        np_lua_fail(s, "test %s: %d outputs are expected, the model gives %d of them", s->test_name, wanted,
                    seen);
    lua_pop(L, 1);
    c->tol = 1e-9;
    if (lua_getfield(L, test, "tol") == LUA_TNUMBER) c->tol = lua_tonumber(L, -1);
    lua_pop(L, 1);
}

static int run_test(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    int model = np_load_table(s);
    lua_getfield(L, model, "tests");
    if (!lua_istable(L, -1) || lua_getfield(L, -1, s->test_name) != LUA_TTABLE)
        return np_lua_fail(s, "there is no test %s", s->test_name);
    int test = lua_gettop(L);
    settings(s, test, "config", "");
    settings(s, test, "sizes", "size.");
    given(s, test);
    const np_setting *len = np_settings_find(&s->test, np_str_fmt(s->cx, "size.%s", s->time_axis));
    if (len && len->num >= 1 && len->num < 1 << 20) s->time_len = (int64_t)len->num;
    np_load_build(s, model); /* leaves the config object on the stack */
    if (s->mistakes) return 0;
    s->out->model = s->model;
    lua_newtable(L);
    int x = lua_gettop(L);
    lua_pushvalue(L, x - 1);
    lua_setfield(L, x, "config");
    lua_getfield(L, test, "sizes");
    lua_setfield(L, x, "size");
    make_inputs(s, test, x);
    make_weights(s, test, x);
    make_expected(s, test, x);
    return 0;
}

np_case *np_load_test(np_cx *cx, const np_load_opts *o, const char *test)
{
    np_case *c = np_arena_alloc(&cx->perm, sizeof *c);
    np_load_opts own = *o;
    np_lua s = {.testing = true, .test_name = np_str_new(cx, test), .out = c};
    own.shapes_known = false;
    own.test = s.test_name;
    if (np_load_run(cx, &s, &own, run_test) == NP_OK) return c;
    for (int i = 0; i < c->nin; i++) np_tensor_free(&c->in[i]);
    for (int i = 0; i < c->nout; i++) np_tensor_free(&c->out[i]);
    return NULL;
}
