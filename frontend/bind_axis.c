/* Axes, their sizes, and what changes the axes of a tensor.
 *
 * A size is a number from the description, from `--set size.NAME`, or from the
 * first input that has the axis; only the axis of time keeps a symbol. Which
 * axis is time: the one called T, else the first one without a size of its own
 * that the description looks along (scan, pos, shift, other). In the second
 * case sizes may have been asked for already, so the description is read once
 * more with that knowledge (s->restart). */
#include "bind.h"

#include <string.h>

/* ---- sizes */
static const np_dim *time_dim(np_lua *s, np_axis *a)
{
    const np_dim *t = np_dim_sym(s->cx, "T");
    int64_t most = s->model && s->model->context > 0 ? s->model->context : INT32_MAX;
    if (s->time_len >= 0) most = s->time_len;
    if (s->o->block > 0) most = s->o->block;
    np_dim_declare(s->cx, t, most == 0 || s->o->empty ? 0 : 1, most, NP_ROLE_TIME);
    a->time = true;
    s->time = a;
    return t;
}

const np_dim *np_axis_past(np_lua *s)
{
    const np_dim *n = np_dim_sym(s->cx, "N");
    int64_t most = s->model && s->model->context > 0 ? s->model->context - 1 : INT32_MAX - 1;
    if (s->time_len >= 0 && s->o->block == 0) most = s->time_len;
    np_dim_declare(s->cx, n, 0, most, NP_ROLE_PAST);
    return n;
}

const np_dim *np_axis_dim(np_lua *s, np_axis *a)
{
    int64_t k;
    if (a->dim) return a->dim;
    if (a->of) {
        const np_dim *d = np_axis_dim(s, a->of);
        if (d) a->dim = a->of->time ? np_dim_add(s->cx, np_axis_past(s), d) : d;
    } else if (a->name == s->time_axis && (s->testing || !np_config_size(s, a->name, &k))) {
        a->dim = time_dim(s, a);
    } else if (np_config_size(s, a->name, &k)) {
        a->dim = np_dim_const(s->cx, k);
        a->by = np_str_fmt(s->cx, "--set size.%s", a->name);
    }
    return a->dim;
}

bool np_axis_size(np_lua *s, np_axis *a, const np_dim *d, np_str by)
{
    np_loc here = np_lua_loc(s);
    if (!a->dim) {
        a->dim = d;
        a->by = by;
        a->loc = here;
        return true;
    }
    if (a->dim == d) return true;
    np_str where =
        a->loc.line ? np_str_fmt(s->cx, " (%s:%d)", a->loc.file, a->loc.line) : np_str_new(s->cx, "");
    np_bind_poison(s, "axis %s: its size is %s in %s%s and %s in %s", a->name, np_dim_str(s->cx, a->dim),
                   a->by ? a->by : "the description", where, np_dim_str(s->cx, d), by);
    lua_pop(s->L, 1);
    return false;
}

void np_axis_look(np_lua *s, np_axis *a)
{
    if (np_axis_dim(s, a) && !(a->by && strncmp(a->by, "input ", 6) == 0)) return;
    lua_getfield(s->L, LUA_REGISTRYINDEX, "np.axes");
    bool other = lua_getfield(s->L, -1, s->time_axis) != LUA_TNIL;
    lua_pop(s->L, 2);
    if (other) return; /* there is a time axis; this one is an ordinary axis */
    s->time_axis = a->name;
    s->restart = true;
    np_lua_fail(s, "read again");
}

/* ---- axis(name[, size]), axes "B T H", size(a), a:other() */
static np_axis *axis_of(np_lua *s, np_str name)
{
    lua_State *L = s->L;
    lua_getfield(L, LUA_REGISTRYINDEX, "np.axes");
    lua_getfield(L, -1, name);
    np_axis *a = np_bind_is_axis(s, -1);
    if (!a) {
        lua_pop(L, 1);
        a = lua_newuserdatauv(L, sizeof *a, 0);
        memset(a, 0, sizeof *a);
        a->name = name;
        luaL_setmetatable(L, "axis");
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    lua_remove(L, -2);
    return a; /* and left on the stack */
}

static np_str axis_name(np_lua *s, const char *p, size_t n)
{
    bool ok = n > 0 && n < 64;
    for (size_t i = 0; ok && i < n; i++)
        ok = p[i] > ' ' && p[i] < 127 && p[i] != '"' && p[i] != '(' && p[i] != ')';
    if (!ok) np_lua_fail(s, "an axis has a name without spaces, of at most 63 characters");
    return np_str_len(s->cx, p, n);
}

static int l_axis(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    size_t n;
    const char *p = luaL_checklstring(L, 1, &n);
    lua_settop(L, 2);
    np_axis *a = axis_of(s, axis_name(s, p, n));
    if (!lua_isnoneornil(L, 2)) {
        const np_dim *d = np_bind_dim(s, 2);
        int64_t lo, hi;
        np_dim_range(d, &lo, &hi);
        if (hi < 1 || (np_dim_int(d, &lo) && lo > INT32_MAX))
            return np_lua_fail(s, "axis %s: a size of %s is not possible", a->name, np_dim_str(s->cx, d));
        np_axis_size(s, a, d, np_str_new(s->cx, "axis"));
    }
    return 1;
}

static int l_axes(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    const char *p = luaL_checkstring(L, 1);
    int count = 0;
    luaL_checkstack(L, 64, NULL);
    while (*p) {
        size_t n = strcspn(p, " ");
        if (n && ++count > 32) return np_lua_fail(s, "more than 32 axes in one list");
        if (n) axis_of(s, axis_name(s, p, n));
        p += n + (p[n] == ' ');
    }
    return count;
}

static int l_size(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_axis *a = np_bind_axis(s, 1);
    if (!np_axis_dim(s, a) && a->reported) {
        lua_pushlightuserdata(L, s); /* nothing that needs the number can be read */
        return lua_error(L);
    }
    if (!a->dim)
        return np_lua_fail(s,
                           "the size of axis %s is not known yet: give it with axis(\"%s\", size), with "
                           "--set size.%s=.., or declare an input that has it before",
                           a->name, a->name, a->name);
    np_bind_push_dim(s, a->dim);
    return 1;
}

static int l_other(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_axis *a = np_bind_axis(s, 1);
    np_axis_look(s, a);
    np_axis *b = axis_of(s, np_str_fmt(s->cx, "%s'", a->name));
    b->of = a;
    np_axis_dim(s, b);
    return 1;
}

const luaL_Reg np_axis_functions[] = {{"axis", l_axis}, {"axes", l_axes}, {"size", l_size}, {NULL, NULL}};
const luaL_Reg np_axis_methods[] = {{"other", l_other}, {NULL, NULL}};

/* ---- methods of tensors. Each begins by seeing its operand; poison passes through. */
typedef struct self {
    np_lua *s;
    np_val v;
    int at; /* place of the axis argument */
    np_axis *a;
} self;

/* Argument 2 is an axis that the tensor must have. False: poison was pushed. */
static bool self_axis(lua_State *L, self *m, const char *what)
{
    m->s = np_bind_enter(L);
    if (!np_bind_is_val(m->s, 1)) luaL_typeerror(L, 1, "tensor");
    m->a = np_bind_axis(m->s, 2);
    m->v = np_bind_see(m->s, 1);
    m->at = -1;
    if (!m->v.node) {
        np_bind_push(m->s, m->v);
        return false;
    }
    m->at = np_bind_place(&m->v, m->a);
    if (m->at < 0)
        np_bind_poison(m->s, "%s: %s has no axis %s", what, np_bind_text(m->s, 1, &m->v), m->a->name);
    return m->at >= 0;
}

/* list with axis a replaced by n axes, into out; the new length. */
static int exchange(np_axis *const *list, int rank, const np_axis *a, int n, np_axis *const *by,
                    np_axis **out)
{
    int k = 0;
    for (int i = 0; i < rank; i++) {
        if (list[i] != a) out[k++] = list[i];
        for (int j = 0; list[i] == a && j < n; j++) out[k++] = by[j];
    }
    return k;
}

/* The tensor with axis m->a replaced by n axes. */
static int replaced(self *m, np_node *x, int n, np_axis *const *by, const char *what)
{
    np_axis *axis[NP_RANK];
    if (m->v.rank - 1 + n > NP_RANK) return np_bind_poison(m->s, "%s: more than %d axes", what, NP_RANK);
    int k = exchange(m->v.axis, m->v.rank, m->a, n, by, axis);
    for (int i = 0; i < k; i++)
        for (int j = 0; j < i; j++)
            if (axis[i] == axis[j])
                return np_bind_poison(m->s, "%s: axis %s would appear twice", what, axis[i]->name);
    np_val v = np_bind_value(m->s, x, k, axis);
    exchange(m->v.order, m->v.rank, m->a, n, by, v.order);
    return np_bind_push(m->s, v);
}

/* x:over(a, b): the same values seen along b; from time to all positions: append */
static int v_over(lua_State *L)
{
    self m;
    if (!self_axis(L, &m, "over")) return 1;
    np_lua *s = m.s;
    np_axis *b = np_bind_axis(s, 3);
    const np_dim *d = np_axis_dim(s, b), *from = m.a->dim;
    np_node *x = m.v.node;
    if (np_bind_place(&m.v, b) >= 0 && b != m.a)
        return np_bind_poison(s, "over: axis %s would appear twice in %s", b->name, np_bind_text(s, 1, &m.v));
    if (!d) {
        np_axis_size(s, b, from, np_str_fmt(s->cx, "over %s", m.a->name));
        d = b->dim;
    }
    if (m.a->time && d == np_dim_add(s->cx, from, np_axis_past(s)))
        x = np_build_op(s->b, NP_APPEND, 1, &x,
                        &(np_extra){.attr = {np_dim_const(s->cx, m.at), np_axis_past(s)}});
    else if (d != from)
        return np_bind_poison(s, "over: axis %s has size %s, axis %s has %s", m.a->name,
                              np_dim_str(s->cx, from), b->name, np_dim_str(s->cx, d));
    return replaced(&m, x, 1, &b, "over");
}

/* Sizes of the parts multiply to the axis; one of them may be unknown. */
static bool split_sizes(self *m, int n, np_axis **part)
{
    np_lua *s = m->s;
    np_axis *open = NULL;
    int64_t whole, known = 1, k;
    if (!np_dim_int(m->a->dim, &whole)) {
        np_bind_poison(s, "split: time (axis %s) is never split by hand; use predicates of pos(%s)",
                       m->a->name, m->a->name);
        return false;
    }
    for (int i = 0; i < n; i++) {
        const np_dim *d = np_axis_dim(s, part[i]);
        if (!d && open) {
            np_bind_poison(s, "split: the sizes of both %s and %s are unknown", open->name, part[i]->name);
            return false;
        }
        if (!d)
            open = part[i];
        else if (np_dim_int(d, &k))
            known *= k;
    }
    if (open && whole % known == 0)
        return np_axis_size(s, open, np_dim_const(s->cx, whole / known),
                            np_str_fmt(s->cx, "split of %s", m->a->name));
    if (known == whole && !open) return true;
    np_bind_poison(s, "split: axis %s of %lld does not split into (%s): the known sizes make %lld",
                   m->a->name, (long long)whole, np_bind_axes_text(s, n, part), (long long)known);
    return false;
}

static int v_split(lua_State *L)
{
    self m;
    np_axis *part[NP_RANK];
    if (!self_axis(L, &m, "split")) return 1;
    int n = np_bind_axes(m.s, 3, part);
    if (n == 0) return np_lua_fail(m.s, "split: no axes are listed");
    if (!split_sizes(&m, n, part)) return np_bind_poison(m.s, NULL);
    np_node *x = m.v.node;
    for (int i = n - 1; i > 0; i--) x = np_build_split(m.s->b, x, m.at, part[i]->dim);
    return replaced(&m, x, n, part, "split");
}

/* x:merge({H, P}, D): the parts become one axis, the last one */
static int v_merge(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *part[NP_RANK], *axis[NP_RANK];
    int n = np_bind_axes(s, 2, part), k = 0;
    np_axis *to = np_bind_axis(s, 3);
    np_val v = np_bind_see(s, 1);
    const np_dim *size = np_dim_const(s->cx, 1);
    if (!v.node) return np_bind_push(s, v);
    for (int i = 0; i < n; i++) {
        if (np_bind_place(&v, part[i]) < 0)
            return np_bind_poison(s, "merge: %s has no axis %s", np_bind_text(s, 1, &v), part[i]->name);
        size = np_dim_mul(s->cx, size, part[i]->dim);
    }
    np_axis_dim(s, to);
    if (n == 0 || !np_axis_size(s, to, size, np_str_fmt(s->cx, "merge of %s", np_bind_axes_text(s, n, part))))
        return np_bind_poison(s, n ? NULL : "merge: no axes are listed");
    for (int i = 0; i < v.rank; i++) {
        bool gone = false;
        for (int j = 0; j < n; j++) gone |= v.axis[i] == part[j];
        if (!gone) axis[k++] = v.axis[i];
        if (!gone && v.axis[i] == to) return np_bind_poison(s, "merge: axis %s would appear twice", to->name);
    }
    for (int j = 0; j < n; j++) axis[k + j] = part[j];
    np_node *x = np_bind_align(s, &v, v.rank, axis);
    for (int j = n - 2; j >= 0; j--) x = np_build_merge(s->b, x, k + j);
    axis[k] = to;
    np_val out = np_bind_value(s, x, k + 1, axis);
    for (int j = 0; j < n; j++) np_bind_drop(v.order, v.rank - j, part[j]);
    memcpy(out.order, v.order, (size_t)k * sizeof *axis);
    return np_bind_push(s, out);
}

static int v_slice(lua_State *L)
{
    self m;
    if (!self_axis(L, &m, "slice")) return 1;
    np_lua *s = m.s;
    const np_dim *from = np_bind_dim(s, 3), *n = np_bind_dim(s, 4);
    np_axis *b = np_bind_axis(s, 5);
    const np_dim *zero = np_dim_const(s->cx, 0);
    int64_t k;
    bool low = np_dim_int(from, &k) && k < 0, none = np_dim_int(n, &k) && k < 1;
    if (low || none || !np_dim_le(s->cx, np_dim_add(s->cx, from, n), m.a->dim) ||
        !np_dim_le(s->cx, zero, from))
        return np_bind_poison(s, "slice: %s values from index %s leave axis %s, which has %s",
                              np_dim_str(s->cx, n), np_dim_str(s->cx, from), m.a->name,
                              np_dim_str(s->cx, m.a->dim));
    np_axis_dim(s, b);
    if (!np_axis_size(s, b, n, np_str_fmt(s->cx, "slice of %s", m.a->name))) return np_bind_poison(s, NULL);
    return replaced(&m, np_build_slice(s->b, m.v.node, m.at, from, n), 1, &b, "slice");
}

static int v_at(lua_State *L)
{
    self m;
    if (!self_axis(L, &m, "at")) return 1;
    np_lua *s = m.s;
    const np_dim *i = np_bind_dim(s, 3), *one = np_dim_const(s->cx, 1);
    if (!np_dim_le(s->cx, np_dim_const(s->cx, 0), i) ||
        !np_dim_le(s->cx, np_dim_add(s->cx, i, one), m.a->dim))
        return np_bind_poison(s, "at: index %s is not in axis %s, which has %s (the first index is 0)",
                              np_dim_str(s->cx, i), m.a->name, np_dim_str(s->cx, m.a->dim));
    return replaced(&m, np_build_at(s->b, m.v.node, m.at, i), 0, NULL, "at");
}

static int v_as(lua_State *L)
{
    np_lua *s = np_bind_enter(L);
    np_axis *axis[NP_RANK];
    int n = np_bind_axes(s, 2, axis);
    np_val v = np_bind_see(s, 1);
    if (!v.node) return np_bind_push(s, v);
    for (int i = 0; i < n; i++)
        if (np_bind_place(&v, axis[i]) < 0)
            return np_bind_poison(s, "as: %s has no axis %s", np_bind_text(s, 1, &v), axis[i]->name);
    for (int i = 0; i < v.rank; i++) {
        bool there = false;
        for (int j = 0; j < n; j++) there |= axis[j] == v.axis[i];
        if (!there)
            return np_bind_poison(s, "as: axis %s of %s is not in the list (%s)", v.axis[i]->name,
                                  np_bind_text(s, 1, &v), np_bind_axes_text(s, n, axis));
    }
    return np_bind_push(s, np_bind_value(s, np_bind_align(s, &v, n, axis), n, axis));
}

/* x:pad(a, before, after, b[, value]) */
static int v_pad(lua_State *L)
{
    self m;
    if (!self_axis(L, &m, "pad")) return 1;
    np_lua *s = m.s;
    const np_dim *before = np_bind_dim(s, 3), *after = np_bind_dim(s, 4);
    np_axis *b = np_bind_axis(s, 5);
    int64_t lo, lo2, hi;
    np_dim_range(before, &lo, &hi);
    np_dim_range(after, &lo2, &hi);
    if (lo < 0 || lo2 < 0) return np_bind_poison(s, "pad: a negative number of values");
    const np_dim *n = np_dim_add(s->cx, np_dim_add(s->cx, before, after), m.a->dim);
    np_axis_dim(s, b);
    if (!np_axis_size(s, b, n, np_str_fmt(s->cx, "pad of %s", m.a->name))) return np_bind_poison(s, NULL);
    np_extra x = {.attr = {np_dim_const(s->cx, m.at), before, after}, .num = luaL_optnumber(L, 6, 0)};
    return replaced(&m, np_build_op(s->b, NP_PAD, 1, &m.v.node, &x), 1, &b, "pad");
}

static int v_axes(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_val v = np_bind_see(s, 1);
    lua_createtable(L, v.rank, 0);
    for (int i = 0; i < v.rank; i++) {
        np_bind_push_axis(s, v.order[i]);
        lua_seti(L, -2, i + 1);
    }
    return 1;
}

static int v_has(lua_State *L)
{
    np_lua *s = np_bind_call(L);
    np_val v = np_bind_see(s, 1);
    lua_pushboolean(L, !v.node || np_bind_place(&v, np_bind_axis(s, 2)) >= 0);
    return 1;
}

const luaL_Reg np_axis_values[] = {
    {"over", v_over}, {"split", v_split}, {"merge", v_merge}, {"slice", v_slice}, {"at", v_at},
    {"as", v_as},     {"pad", v_pad},     {"axes", v_axes},   {"has", v_has},     {NULL, NULL}};
