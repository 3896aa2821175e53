/* Time: scan, window, shift.
 *
 * The body of a scan is an ordinary Lua function, called once: what it uses of
 * the tensors outside is found when an operand is seen (bind.c). The state is a
 * table of tensors, maybe nested; tables are walked in order of their keys, so
 * the same description always gives the same function. If anything about the
 * scan was a mistake, the half-built node is left out of its block and poison
 * is returned: the body has been read, and its own mistakes reported. */
#include "bind.h"

#include <stdlib.h>
#include <string.h>

enum { STATES = 64, OUTS = 16, DEPTH = 6 };

typedef struct key {
    np_str text; /* NULL: a number */
    lua_Integer i;
} key;
typedef struct states {
    np_lua *s;
    int n;
    np_str name[STATES];
    np_val init[STATES], param[STATES], next[STATES];
    bool wrong;
} states;

static int by_key(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (!x->text != !y->text) return x->text ? 1 : -1;
    if (x->text) return strcmp(x->text, y->text);
    return (x->i > y->i) - (x->i < y->i);
}

/* The keys of the table at index t, in order. */
static int keys(np_lua *s, int t, key *out)
{
    int n = 0;
    lua_pushnil(s->L);
    while (lua_next(s->L, t)) {
        lua_pop(s->L, 1);
        if (n == STATES) np_lua_fail(s, "a scan has at most %d states", STATES);
        key k = {0};
        if (lua_type(s->L, -1) == LUA_TSTRING)
            k.text = np_str_new(s->cx, lua_tostring(s->L, -1));
        else if (lua_isinteger(s->L, -1))
            k.i = lua_tointeger(s->L, -1);
        else
            np_lua_fail(s, "a state is called by a name or a number, not by a %s", luaL_typename(s->L, -1));
        out[n++] = k;
    }
    qsort(out, (size_t)n, sizeof *out, by_key);
    return n;
}

static void get(np_lua *s, int t, key k)
{
    if (k.text)
        lua_getfield(s->L, t, k.text);
    else
        lua_geti(s->L, t, k.i);
}

static void set(np_lua *s, int t, key k)
{
    if (k.text)
        lua_setfield(s->L, t, k.text);
    else
        lua_seti(s->L, t, k.i);
}

static np_str key_text(np_lua *s, np_str path, key k)
{
    const char *dot = *path ? "." : "";
    return k.text ? np_str_fmt(s->cx, "%s%s%s", path, dot, k.text)
                  : np_str_fmt(s->cx, "%s%s%d", path, dot, (int)k.i);
}

/* The initial state at index t. */
static void collect(states *w, int t, np_str path, int depth)
{
    np_lua *s = w->s;
    key k[STATES];
    if (depth > DEPTH) np_lua_fail(s, "the state nests deeper than %d tables", DEPTH);
    luaL_checkstack(s->L, 8, NULL);
    int n = keys(s, t, k);
    for (int i = 0; i < n; i++) {
        np_str name = key_text(s, path, k[i]);
        get(s, t, k[i]);
        int at = lua_gettop(s->L);
        if (lua_istable(s->L, at)) {
            collect(w, at, name, depth + 1);
        } else {
            if (w->n == STATES) np_lua_fail(s, "a scan has at most %d states", STATES);
            if (!np_bind_is_val(s, at) && !lua_isnumber(s->L, at))
                np_lua_fail(s, "state %s is a %s; a tensor or a number is wanted", name,
                            luaL_typename(s->L, at));
            np_val v = np_bind_see(s, at);
            if (lua_isnumber(s->L, at)) v.node = np_operand_convert(s, v.node, NP_F32);
            w->name[w->n] = name;
            w->init[w->n++] = v;
            w->wrong |= !v.node;
        }
        lua_pop(s->L, 1);
    }
}

/* A table like the one at index t, with the given tensors; left on the stack. */
static void rebuild(states *w, int t, const np_val *v, int *used)
{
    np_lua *s = w->s;
    key k[STATES];
    int n = keys(s, t, k);
    luaL_checkstack(s->L, 8, NULL);
    lua_newtable(s->L);
    int out = lua_gettop(s->L);
    for (int i = 0; i < n; i++) {
        get(s, t, k[i]);
        if (lua_istable(s->L, -1))
            rebuild(w, lua_gettop(s->L), v, used);
        else
            np_bind_push(s, v[(*used)++]);
        set(s, out, k[i]);
        lua_settop(s->L, out);
    }
}

/* The next state of one tensor, in the axes and the type of the initial one. */
static bool fit(states *w, int i, np_val *v)
{
    np_lua *s = w->s;
    const np_val *was = &w->init[i];
    if (!v->node || !was->node) return false;
    for (int j = 0; j < v->rank; j++) {
        if (np_bind_place(was, v->axis[j]) >= 0) continue;
        np_bind_poison(s, "scan: state %s is over (%s), its next value over (%s)", w->name[i],
                       np_bind_axes_text(s, was->rank, was->axis), np_bind_axes_text(s, v->rank, v->axis));
        lua_pop(s->L, 1);
        return false;
    }
    np_node *x = np_operand_convert(s, v->node, was->node->type->dtype);
    if (!x) {
        np_bind_poison(s,
                       "scan: state %s is %s at the start and %s after a step; give it its type at the "
                       "start, as in zeros({..}, int)",
                       w->name[i], np_dtype_text(was->node->type->dtype),
                       np_dtype_text(v->node->type->dtype));
        lua_pop(s->L, 1);
        return false;
    }
    v->node = x;
    *v = np_bind_value(s, np_bind_align(s, v, was->rank, was->axis), was->rank, was->axis);
    return true;
}

/* The next state at index t, against the initial one at index was. */
static void follow(states *w, int was, int t, np_str path, int *used)
{
    np_lua *s = w->s;
    key k[STATES], extra[STATES];
    int n = keys(s, was, k), m = keys(s, t, extra);
    for (int i = 0; i < m; i++) {
        if (bsearch(&extra[i], k, (size_t)n, sizeof *k, by_key)) continue;
        np_lua_fail(s, "scan: the body gives a state %s that the scan does not start with",
                    key_text(s, path, extra[i]));
    }
    for (int i = 0; i < n; i++) {
        np_str name = key_text(s, path, k[i]);
        get(s, was, k[i]);
        get(s, t, k[i]);
        int at = lua_gettop(s->L);
        if (lua_isnil(s->L, at))
            np_lua_fail(s, "scan: the body does not give the next value of state %s", name);
        if (lua_istable(s->L, at - 1) != lua_istable(s->L, at))
            np_lua_fail(s, "scan: state %s is a table on one side and a tensor on the other", name);
        if (lua_istable(s->L, at)) {
            follow(w, at - 1, at, name, used);
        } else {
            np_val v = np_bind_see(s, at);
            w->wrong |= !fit(w, *used, &v);
            w->next[(*used)++] = v;
        }
        lua_settop(s->L, at - 2);
    }
}

static bool open_scan(states *w, np_axis *a, bool back)
{
    np_lua *s = w->s;
    np_node *arg[STATES];
    int n = 0, k = 0;
    if (s->nframes == NP_LUA_SCANS) np_lua_fail(s, "more than %d scans are open", NP_LUA_SCANS);
    for (int i = 0; i < s->nframes; i++)
        if (s->frame[i].axis == a) np_lua_fail(s, "scan over %s: a scan over it is open already", a->name);
    if (!np_bind_sized(s, 1, &a, "scan")) return false;
    for (int i = 0; i < w->n; i++) {
        if (!w->init[i].node) continue;
        if (np_bind_place(&w->init[i], a) >= 0)
            np_lua_fail(s, "scan over %s: state %s (%s) has that axis", a->name, w->name[i],
                        np_bind_axes_text(s, w->init[i].rank, w->init[i].axis));
        arg[n++] = w->init[i].node;
    }
    np_extra x = {.attr = {np_dim_const(s->cx, 0), a->dim, np_dim_const(s->cx, back)}};
    np_frame *f = &s->frame[s->nframes];
    *f = (np_frame){.axis = a, .outer = s->b->at, .serial = ++s->serial};
    f->scan = np_build_open(s->b, NP_SCAN, n, arg, &x);
    s->nframes++;
    for (int i = 0; i < w->n; i++) {
        w->param[i] = (np_val){0};
        if (!w->init[i].node) continue;
        np_node *p = f->scan->body[0]->param[k++];
        const char *dot = strrchr(w->name[i], '.');
        p->name = dot ? np_str_new(s->cx, dot + 1) : w->name[i];
        w->param[i] = np_bind_value(s, p, w->init[i].rank, w->init[i].axis);
        memcpy(w->param[i].order, w->init[i].order, sizeof w->init[i].order);
    }
    return true;
}

/* Closes the scan and pushes its results: nouts tensors, then the last state. */
static void close_scan(states *w, int nouts, np_val *out)
{
    np_lua *s = w->s;
    np_frame *f = &s->frame[s->nframes - 1];
    np_node *yield[OUTS + STATES], *r = NULL;
    for (int i = 0; i < nouts; i++) {
        w->wrong |= !out[i].node;
        yield[i] = out[i].node;
    }
    for (int i = 0; i < w->n; i++) yield[nouts + i] = w->next[i].node;
    s->nframes--;
    if (w->wrong) {
        s->b->at = f->outer;
    } else {
        r = np_build_close(s->b, f->scan, nouts + w->n, yield);
        if (r->op == NP_BAD) s->mistakes++, r = NULL;
    }
    for (int i = 0; i < nouts; i++) {
        np_axis *axis[NP_RANK] = {f->axis};
        memcpy(axis + 1, out[i].axis, (size_t)(r ? out[i].rank : 0) * sizeof *axis);
        np_val v = r ? np_bind_value(s, np_build_result(s->b, r, i), out[i].rank + 1, axis) : (np_val){0};
        memcpy(v.order + 1, out[i].order, (size_t)(r ? out[i].rank : 0) * sizeof *axis);
        np_bind_push(s, v);
    }
    for (int i = 0; i < w->n; i++) {
        const np_val *v = &w->init[i];
        w->next[i] =
            r ? np_bind_value(s, np_build_result(s->b, r, nouts + i), v->rank, v->axis) : (np_val){0};
        memcpy(w->next[i].order, v->order, sizeof v->order);
    }
}

static int scan(lua_State *L, bool back)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    lua_settop(L, 3);
    np_loc loc = s->b->loc;
    np_val out[OUTS];
    int used = 0;
    states *w = np_arena_alloc(&s->cx->tmp, sizeof *w);
    w->s = s;
    np_axis_look(s, a);
    collect(w, 2, np_str_new(s->cx, ""), 1);
    if (!open_scan(w, a, back)) return np_lua_fail(s, "scan over %s: its size must be known first", a->name);
    lua_pushvalue(L, 3);
    rebuild(w, 2, w->param, &used);
    lua_call(L, 1, LUA_MULTRET);
    int nouts = lua_gettop(L) - 3;
    bool table = nouts > 0 && lua_istable(L, -1);
    if (!table && w->n > 0)
        return np_lua_fail(s, "scan: the body returns its outputs, then the table of the next state");
    nouts -= table;
    if (nouts > OUTS) return np_lua_fail(s, "scan: more than %d outputs", OUTS);
    if (nouts + w->n == 0) return np_lua_fail(s, "scan: the body returns nothing");
    s->b->loc = loc;
    for (int i = 0; i < nouts; i++) {
        out[i] = np_bind_see(s, 4 + i);
        if (out[i].rank == NP_RANK)
            return np_lua_fail(s, "scan: output %d has %d axes already", i + 1, NP_RANK);
    }
    used = 0;
    if (table) follow(w, 2, 4 + nouts, np_str_new(s->cx, ""), &used);
    lua_settop(L, 3);
    close_scan(w, nouts, out);
    used = 0;
    rebuild(w, 2, w->next, &used);
    return nouts + 1;
}

static int l_scan(lua_State *L)
{
    return scan(L, false);
}

static int l_scan_back(lua_State *L)
{
    return scan(L, true);
}

/* ---- window(x, T, W[, before]), shift(x, T, n[, before]) */

/* The last n values along axis a, oldest first, as a new last axis of the node. NULL: poison was pushed. */
static np_node *look_back(np_lua *s, const char *what, np_val *v, np_axis *a, int64_t n, int before)
{
    np_node *x[2];
    int at, k = 1;
    np_axis_look(s, a);
    *v = np_bind_see(s, 1);
    if (!v->node) return np_bind_push(s, *v), NULL;
    at = np_bind_place(v, a);
    if (at < 0) {
        np_bind_poison(s, "%s: %s has no axis %s", what, np_bind_text(s, 1, v), a->name);
        return NULL;
    }
    if (v->rank == NP_RANK || n < 1 || n > INT32_MAX)
        np_lua_fail(s, "%s: %d steps of %s", what, (int)n, np_bind_text(s, 1, v));
    x[0] = v->node;
    if (!lua_isnoneornil(s->L, before)) {
        np_val p = np_bind_see(s, before);
        np_axis *order[NP_RANK], *own = NULL;
        if (!p.node) return np_bind_push(s, p), NULL;
        for (int i = 0; i < p.rank; i++)
            if (np_bind_place(v, p.axis[i]) < 0 || p.axis[i] == a) own = p.axis[i];
        memcpy(order, v->axis, sizeof order);
        order[at] = own;
        if (!own || !np_dim_is(own->dim, n - 1) || p.rank != v->rank) {
            np_bind_poison(
                s,
                "%s: what stands before, %s, must be over the axes of %s, with an axis of %d in place of %s",
                what, np_bind_text(s, before, &p), np_bind_text(s, 1, v), (int)n - 1, a->name);
            return NULL;
        }
        x[k++] = np_bind_align(s, &p, v->rank, order);
    }
    return np_build_op(s->b, NP_WINDOW, k, x,
                       &(np_extra){.attr = {np_dim_const(s->cx, at), np_dim_const(s->cx, n)}});
}

static int l_window(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 2), *w = np_bind_axis(s, 3);
    int64_t n;
    np_val v;
    if (!np_bind_sized(s, 1, &w, "window")) return np_bind_poison(s, NULL);
    if (!np_dim_int(w->dim, &n)) return np_lua_fail(s, "window: axis %s has no fixed size", w->name);
    np_node *x = look_back(s, "window", &v, a, n, 4);
    if (!x) return 1;
    if (np_bind_place(&v, w) >= 0) return np_bind_poison(s, "window: axis %s would appear twice", w->name);
    v.axis[v.rank] = w;
    np_val out = np_bind_value(s, x, v.rank + 1, v.axis);
    out.order[0] = w;
    memcpy(out.order + 1, v.order, (size_t)v.rank * sizeof *v.order);
    return np_bind_push(s, out);
}

static int l_shift(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *a = np_bind_axis(s, 2);
    lua_Integer n = luaL_checkinteger(L, 3);
    np_val v;
    if (n < 0) return np_lua_fail(s, "shift looks back: %d steps are not possible", (int)n);
    np_node *x = look_back(s, "shift", &v, a, n + 1, 4);
    if (!x) return 1;
    np_val out = np_bind_value(s, np_build_at(s->b, x, v.rank, np_dim_const(s->cx, 0)), v.rank, v.axis);
    memcpy(out.order, v.order, sizeof v.order);
    return np_bind_push(s, out);
}

const luaL_Reg np_scan_functions[] = {
    {"scan", l_scan}, {"scan_back", l_scan_back}, {"window", l_window}, {"shift", l_shift}, {NULL, NULL}};
