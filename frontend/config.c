/* The config of a model: defaults written in its table, overridden by a
 * checkpoint's config and by --set.
 *
 * Who wins: the self-test that is being built, then --set and the params of an
 * input file, then the checkpoint (its own key of that name, then the keys that
 * the model's `keys` table names, in their order), then the default, which may
 * be a function. A default also gives the type: a whole number, a number, a
 * bool, a string, a list; range(..) and choice(..) say what else is allowed. */
#include "bind.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 256 };
static const char CONFIG[] = "np.config", OBJECT[] = "np.config.object";

static bool listed(int n, const np_str *list, np_str key)
{
    for (int i = 0; i < n; i++)
        if (strcmp(list[i], key) == 0) return true; /* --set may be of another context */
    return false;
}

static void ask(np_lua *s, np_str key)
{
    if (listed(s->nasked, s->asked, key) || s->nasked == s->cap_asked) return;
    s->asked[s->nasked++] = key;
}

/* ---- values */
static const np_setting *setting(np_lua *s, np_str key)
{
    const np_setting *v = s->testing ? np_settings_find(&s->test, key) : NULL;
    if (!v && s->o->set) v = np_settings_find(s->o->set, key);
    if (v || !s->o->checkpoint) return v;
    v = np_settings_find(&s->o->checkpoint->config, key);
    for (int i = 0; !v && i < s->keys.n; i++)
        if (s->keys.s[i].key == key) v = np_settings_find(&s->o->checkpoint->config, s->keys.s[i].str);
    return v;
}

static void push_setting(lua_State *L, const np_setting *v, bool whole)
{
    switch (v->kind) {
    case NP_SET_NUM:
        if (whole && v->num == floor(v->num) && fabs(v->num) < 9e15)
            lua_pushinteger(L, (lua_Integer)v->num);
        else
            lua_pushnumber(L, v->num);
        return;
    case NP_SET_BOOL: lua_pushboolean(L, v->num != 0); return;
    case NP_SET_STR: lua_pushstring(L, v->str); return;
    case NP_SET_LIST:
        lua_createtable(L, v->n, 0);
        for (int i = 0; i < v->n; i++) {
            lua_pushnumber(L, v->list[i]);
            lua_rawseti(L, -2, i + 1);
        }
        return;
    case NP_SET_NAMES:
        lua_createtable(L, v->n, 0);
        for (int i = 0; i < v->n; i++) {
            lua_pushstring(L, v->names[i]);
            lua_rawseti(L, -2, i + 1);
        }
    }
}

static np_setting *append(np_lua *s, np_settings *to, np_str key, const char *from)
{
    np_settings_num(s->cx, to, key, 0, from);
    return &to->s[to->n - 1];
}

/* The Lua value at index i as a setting; others are not recorded. */
static void record(np_lua *s, np_settings *to, np_str key, int i, const char *from)
{
    lua_State *L = s->L;
    int t = lua_type(L, i);
    if (t == LUA_TNUMBER) {
        np_settings_num(s->cx, to, key, lua_tonumber(L, i), from);
    } else if (t == LUA_TBOOLEAN) {
        np_settings_bool(s->cx, to, key, lua_toboolean(L, i), from);
    } else if (t == LUA_TSTRING) {
        np_setting *v = append(s, to, key, from);
        v->kind = NP_SET_STR;
        v->str = np_str_new(s->cx, lua_tostring(L, i));
    } else if (t == LUA_TTABLE && luaL_len(L, i) <= 1 << 20) {
        int n = (int)luaL_len(L, i);
        double *list = np_arena_array(&s->cx->perm, (size_t)n + 1, sizeof *list);
        for (int k = 0; k < n; k++) {
            bool number = lua_geti(L, i, k + 1) == LUA_TNUMBER;
            list[k] = number ? lua_tonumber(L, -1) : 0;
            lua_pop(L, 1);
            if (!number) return;
        }
        np_setting *v = append(s, to, key, from);
        v->kind = NP_SET_LIST;
        v->n = n;
        v->list = list;
    }
}

/* Does the setting have the type of the default at the top of the stack? */
static bool fits(np_lua *s, const np_setting *v)
{
    lua_State *L = s->L;
    const char *wants = NULL;
    bool ok = true;
    switch (lua_type(L, -1)) {
    case LUA_TNUMBER:
        ok = v->kind == NP_SET_NUM && (!lua_isinteger(L, -1) || v->num == floor(v->num));
        wants = lua_isinteger(L, -1) ? "a whole number" : "a number";
        break;
    case LUA_TBOOLEAN: ok = v->kind == NP_SET_BOOL, wants = "true or false"; break;
    case LUA_TSTRING: ok = v->kind == NP_SET_STR, wants = "a name"; break;
    case LUA_TTABLE: /* an empty default says only that it is a list */
        ok = v->kind == NP_SET_LIST || (v->kind == NP_SET_NAMES && luaL_len(L, -1) == 0);
        wants = "a list of numbers, as in [1,2.5]";
        break;
    default: break;
    }
    if (!ok) np_lua_error(s, (np_loc){.file = v->from}, "%s: the model wants %s here", v->key, wants);
    return ok;
}

/* The default at the top of the stack may be {kind = "range", value, least, most}
 * or {kind = "choice", first, ..}: it is replaced by its value, and the
 * restriction stays below it (true). */
static bool unwrap(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TTABLE) return false;
    if (lua_getfield(L, -1, "kind") != LUA_TSTRING) {
        lua_pop(L, 1);
        return false;
    }
    lua_pop(L, 1);
    lua_geti(L, -1, 1);
    return true;
}

/* The value at the top against the restriction at index r. */
static bool allowed(np_lua *s, np_str key, int r, np_loc loc)
{
    lua_State *L = s->L;
    int value = lua_gettop(L);
    bool ok = false;
    lua_getfield(L, r, "kind");
    bool range = strcmp(lua_tostring(L, -1), "range") == 0;
    np_str all = np_str_new(s->cx, "");
    int n = (int)luaL_len(L, r);
    if (range && n >= 3) {
        lua_geti(L, r, 2);
        lua_geti(L, r, 3);
        double v = lua_tonumber(L, value), lo = lua_tonumber(L, -2), hi = lua_tonumber(L, -1);
        ok = v >= lo && v <= hi;
        all = np_str_fmt(s->cx, "%g to %g", lo, hi);
    }
    for (int i = 1; !range && i <= n && i <= KEYS; i++) {
        lua_geti(L, r, i);
        ok |= lua_rawequal(L, value, -1);
        all = np_str_fmt(s->cx, "%s%s%s", all, i > 1 ? ", " : "", luaL_tolstring(L, -1, NULL));
        lua_settop(L, value);
    }
    lua_settop(L, value);
    if (!ok) np_lua_error(s, loc, "%s is %s; allowed: %s", key, luaL_tolstring(L, value, NULL), all);
    lua_settop(L, value);
    return ok;
}

bool np_config_push(np_lua *s, const char *name)
{
    lua_State *L = s->L;
    np_str key = np_str_new(s->cx, name), from = np_str_new(s->cx, "default");
    np_loc loc = np_lua_loc(s);
    int top = lua_gettop(L);
    ask(s, key);
    luaL_checkstack(L, 8, NULL);
    lua_getfield(L, LUA_REGISTRYINDEX, CONFIG);
    lua_getfield(L, -1, name);
    bool limited = unwrap(L);
    int restriction = lua_gettop(L) - 1;
    const np_setting *v = setting(s, key);
    if (v && fits(s, v)) {
        push_setting(L, v, lua_type(L, -1) != LUA_TNUMBER || lua_isinteger(L, -1));
        from = v->from;
        loc = (np_loc){.file = from};
    } else if (lua_isfunction(L, -1)) {
        np_str scope = s->scope, prefix = s->prefix;
        s->scope = s->prefix = np_str_new(s->cx, ""); /* wherever it is first asked for: weights by full names */
        lua_getfield(L, LUA_REGISTRYINDEX, OBJECT);
        lua_call(L, 1, 1);
        s->scope = scope;
        s->prefix = prefix;
    }
    if (limited && !allowed(s, v ? v->key : key, restriction, loc)) { /* as the user wrote it */
        lua_geti(L, restriction, 1); /* so that nothing else is said about it */
        lua_replace(L, -2);
    }
    np_settings *all = s->model ? &s->model->config : NULL;
    if (all && !np_settings_find(all, key)) record(s, all, key, lua_gettop(L), from);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return !lua_isnil(L, -1);
}

/* c.key, for keys that were not asked for before */
static int index_config(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    const char *name = luaL_checkstring(L, 2);
    if (np_config_push(s, name)) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 1);
        return 1;
    }
    np_str near = listed(s->ndeclared, s->declared, np_str_new(s->cx, name))
                      ? NULL
                      : np_str_near(name, s->ndeclared, s->declared);
    if (near) np_lua_error(s, np_lua_loc(s), "the config has no key %s; did you mean %s?", name, near);
    return 1;
}

static int newindex_config(lua_State *L)
{
    return np_lua_fail(np_lua_of(L), "the config cannot be changed while the model is built (c.%s)",
                       luaL_tolstring(L, 2, NULL));
}

bool np_config_size(np_lua *s, np_str axis, int64_t *out)
{
    np_str key = np_str_fmt(s->cx, "size.%s", axis);
    const np_setting *v = s->testing ? np_settings_find(&s->test, key) : NULL;
    if (!v && s->o->set) v = np_settings_find(s->o->set, key);
    if (!v) return false;
    ask(s, key);
    if (v->kind == NP_SET_NUM && v->num == floor(v->num) && v->num >= 1 && v->num <= INT32_MAX) {
        *out = (int64_t)v->num;
        return true;
    }
    np_lua_error(s, (np_loc){.file = v->from}, "%s: a size is a whole number from 1", key);
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const np_str *)a, *(const np_str *)b);
}

static void read_keys(np_lua *s, int model)
{
    lua_State *L = s->L;
    if (lua_getfield(L, model, "keys") == LUA_TTABLE) {
        lua_pushnil(L);
        while (lua_next(L, -2)) {
            np_str key = np_str_new(s->cx, luaL_checkstring(L, -2));
            bool many = lua_istable(L, -1);
            for (int i = 1; i <= (many ? (int)luaL_len(L, -1) : 1); i++) {
                if (many)
                    lua_geti(L, -1, i);
                else
                    lua_pushvalue(L, -1);
                np_setting *v = append(s, &s->keys, key, "keys");
                v->kind = NP_SET_STR;
                v->str = np_str_new(s->cx, luaL_checkstring(L, -1));
                lua_pop(L, 1);
            }
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

void np_config_open(np_lua *s, int model)
{
    lua_State *L = s->L;
    static const luaL_Reg meta[] = {{"__index", index_config}, {"__newindex", newindex_config}, {NULL, NULL}};
    s->declared = np_arena_array(&s->cx->perm, KEYS, sizeof *s->declared);
    s->cap_asked = KEYS;
    s->asked = np_arena_array(&s->cx->perm, KEYS, sizeof *s->asked);
    int t = lua_getfield(L, model, "config");
    if (t == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else if (t != LUA_TTABLE) {
        np_lua_fail(s, "config must be a table: config = { layers = 2, .. }");
    }
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) np_lua_fail(s, "config: keys are names");
        if (s->ndeclared < KEYS) s->declared[s->ndeclared++] = np_str_new(s->cx, lua_tostring(L, -1));
    }
    if (s->ndeclared) qsort(s->declared, (size_t)s->ndeclared, sizeof *s->declared, by_text);
    lua_setfield(L, LUA_REGISTRYINDEX, CONFIG);
    read_keys(s, model);
    lua_newtable(L);
    lua_newtable(L);
    luaL_setfuncs(L, meta, 0);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, OBJECT);
}

void np_config_close(np_lua *s)
{
    for (int i = 0; i < s->ndeclared; i++) { /* defaults that nobody asked for, except computed ones */
        lua_getfield(s->L, LUA_REGISTRYINDEX, CONFIG);
        bool computed = lua_getfield(s->L, -1, s->declared[i]) == LUA_TFUNCTION;
        lua_pop(s->L, 2);
        if (computed || listed(s->nasked, s->asked, s->declared[i])) continue;
        np_config_push(s, s->declared[i]);
        lua_pop(s->L, 1);
    }
    for (int i = 0; s->o->set && i < s->o->set->n; i++) {
        const np_setting *v = &s->o->set->s[i];
        if (strncmp(v->from, "--", 2) != 0) continue; /* params and config.json may say more than a model asks */
        if (listed(s->nasked, s->asked, v->key) || listed(s->ndeclared, s->declared, v->key)) continue;
        np_str near = np_str_near(v->key, s->ndeclared, s->declared), all = np_str_new(s->cx, "");
        for (int k = 0; k < s->ndeclared && k < 40; k++)
            all = np_str_fmt(s->cx, "%s%s%s", all, k ? ", " : "", s->declared[k]);
        if (near)
            np_lua_error(s, (np_loc){.file = v->from}, "%s: the model has no such key; did you mean %s?",
                         v->key, near);
        else
            np_lua_error(s, (np_loc){.file = v->from}, "%s: the model has no such key%s%s", v->key,
                         *all ? "; it has " : "", all);
    }
}
