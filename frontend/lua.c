/* The sandbox: a Lua state without files, processes, bytecode or threads,
 * with a budget of instructions and of memory.
 *
 * Everything runs inside one protected call (np_lua_run), the only place that
 * a Lua error can reach; the handler turns it into np_error where the stack
 * still tells the line. Files are compiled under short numbers ("=3"), so that
 * positions in Lua's messages lead back to full paths. What could run without
 * the instruction hook seeing it is left out: pcall (would catch the end of
 * the budget), metatables (finalizers run without hooks), load, coroutines.
 * Runs are reproducible: pairs goes in order of keys, random has a fixed seed. */
#include "bind.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MEMORY = 192 << 20, FILE_MAX = 4 << 20, COPY_MAX = 1 << 24 };
static const int64_t BUDGET = 400000000;
static const char budget_text[] =
    "the description runs for too long (400 million instructions); is there an endless loop?";

np_lua *np_lua_of(lua_State *L)
{
    return *(np_lua **)lua_getextraspace(L);
}

static int file_of(const np_lua *s, const char *source)
{
    if (source[0] == '=') source++;
    if (!isdigit((unsigned char)source[0])) return -1;
    int k = atoi(source);
    return k < s->nfiles ? k : -1;
}

np_loc np_lua_loc(np_lua *s)
{
    lua_Debug ar;
    np_loc loc = {.file = s->o->path, .scope = s->scope};
    for (int i = 0; lua_getstack(s->L, i, &ar); i++) {
        lua_getinfo(s->L, "Sl", &ar);
        int k = file_of(s, ar.source);
        if (k <= 0 || ar.currentline <= 0) continue;
        loc.file = s->file[k];
        loc.line = ar.currentline;
        break;
    }
    return loc;
}

static void *allocate(void *ud, void *p, size_t old, size_t n)
{
    np_lua *s = ud;
    if (!p) old = 0;
    if (n == 0) {
        s->memory -= old;
        free(p);
        return NULL;
    }
    if (n > old && s->memory + (n - old) > MEMORY) {
        if (s->L) s->refused = np_lua_loc(s);
        return NULL;
    }
    void *q = realloc(p, n);
    if (q) s->memory += n - old;
    return q;
}

int np_lua_fail(np_lua *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    lua_pushstring(s->L, text);
    return lua_error(s->L);
}

void np_lua_error(np_lua *s, np_loc loc, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    np_error(s->cx, loc, "%s", text);
    s->mistakes++;
}

/* ---- the hook: the budget, and names for the nodes of a function's locals.
 * Single letters of the library say nothing about a model. */
static void name_locals(np_lua *s, lua_Debug *ar)
{
    const char *name;
    bool library = file_of(s, ar->source) == 0;
    for (int i = 1; (name = lua_getlocal(s->L, ar, i)) != NULL; i++) {
        np_val *v = name[0] == '(' || (library && !name[1]) ? NULL : np_bind_is_val(s, -1);
        if (v && v->node && !v->node->name && !np_is_leaf(v->node)) v->node->name = np_str_new(s->cx, name);
        lua_pop(s->L, 1);
    }
}

static void hook(lua_State *L, lua_Debug *ar)
{
    np_lua *s = np_lua_of(L);
    if (ar->event == LUA_HOOKCOUNT) {
        s->budget -= NP_LUA_HOOK;
        if (s->budget < 0) np_lua_fail(s, "%s", budget_text);
    } else if (ar->event == LUA_HOOKRET && s->naming) {
        lua_getinfo(L, "S", ar);
        if (ar->what[0] != 'C') name_locals(s, ar);
    }
}

/* ---- errors */

/* "3:14: text" -> the place and the text; false if it does not begin so. */
static bool cut_place(const np_lua *s, const char **msg, int *file, int *line)
{
    const char *p = *msg;
    char *end;
    if (!isdigit((unsigned char)*p)) return false;
    long k = strtol(p, &end, 10);
    if (*end != ':' || k >= s->nfiles || !isdigit((unsigned char)end[1])) return false;
    long at = strtol(end + 1, &end, 10);
    if (end[0] != ':' || end[1] != ' ') return false;
    *file = (int)k;
    *line = (int)at;
    *msg = end + 2;
    return true;
}

/* "attempt to call a nil value (global 'silux')" */
static np_str suggest(np_lua *s, const char *msg)
{
    const char *at = strstr(msg, "(global '");
    const char *end = at ? strchr(at + 9, '\'') : NULL;
    np_str name = end ? np_str_len(s->cx, at + 9, (size_t)(end - at - 9)) : NULL, best = NULL;
    np_str all[512];
    int n = 0;
    if (!name) return NULL;
    lua_pushglobaltable(s->L);
    lua_pushnil(s->L);
    while (lua_next(s->L, -2) && n < 512) {
        if (lua_type(s->L, -2) == LUA_TSTRING) all[n++] = np_str_new(s->cx, lua_tostring(s->L, -2));
        lua_pop(s->L, 1);
    }
    best = np_str_near(name, n, all);
    return best;
}

static int handler(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    if (s->restart || lua_islightuserdata(L, 1)) return 1;
    const char *msg = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : "an error value that is no text";
    np_loc loc = np_lua_loc(s);
    int file, line;
    np_str where = NULL;
    if (cut_place(s, &msg, &file, &line)) {
        if (file == 0) {
            where = np_str_fmt(s->cx, " (%s:%d)", s->file[0], line);
        } else {
            loc.file = s->file[file];
            loc.line = line;
        }
    }
    np_str near = suggest(s, msg);
    np_lua_error(s, loc, "%s%s%s%s%s", msg, where ? where : "", near ? "; did you mean " : "",
                 near ? near : "", near ? "?" : "");
    return 1;
}

void np_lua_compile(np_lua *s, np_str file, const char *text, size_t n)
{
    int k = s->nfiles;
    char chunk[16];
    if (k == NP_LUA_FILES) np_lua_fail(s, "more than %d files", NP_LUA_FILES - 1);
    s->file[s->nfiles++] = file;
    np_diag_source(s->cx, file, text, n);
    snprintf(chunk, sizeof chunk, "=%d", k);
    if (luaL_loadbufferx(s->L, text, n, chunk, "t") != LUA_OK) lua_error(s->L);
    if (k == 0) return;
    lua_newtable(s->L); /* a file's own globals; it cannot change the library's */
    lua_createtable(s->L, 0, 1);
    lua_pushglobaltable(s->L);
    lua_setfield(s->L, -2, "__index");
    lua_setmetatable(s->L, -2);
    lua_setupvalue(s->L, -2, 1);
}

/* ---- what the sandbox changes in Lua's own libraries */
static int lua_require(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    const char *name = luaL_checkstring(L, 1);
    size_t n;
    if (strcmp(name, "neap") == 0) {
        lua_pushglobaltable(L);
        return 1;
    }
    for (const char *p = name; *p || p == name; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-')
            return np_lua_fail(
                s, "require \"%s\": the name of a .lua file beside the model is wanted, without folders",
                name);
    lua_getfield(L, LUA_REGISTRYINDEX, "np.required");
    if (lua_getfield(L, -1, name) != LUA_TNIL) {
        if (lua_islightuserdata(L, -1))
            return np_lua_fail(s, "require \"%s\": it is being read already", name);
        return 1;
    }
    lua_pop(L, 1);
    lua_pushlightuserdata(L, s);
    lua_setfield(L, -2, name);
    np_str path = np_str_fmt(s->cx, "%s%s.lua", s->dir, name);
    struct stat st;
    if (stat(path, &st) || !S_ISREG(st.st_mode))
        return np_lua_fail(s, "require \"%s\": there is no file %s", name, path);
    int before = s->cx->nerrors;
    const char *text = (const char *)np_file_read(s->cx, path, &n);
    if (!text && s->cx->nerrors > before) {
        lua_pushlightuserdata(L, s); /* reported already */
        return lua_error(L);
    }
    if (!text || n > FILE_MAX) return np_lua_fail(s, "require \"%s\": %s is too large", name, path);
    np_lua_compile(s, path, text, n);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

static int lua_print(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    np_loc loc = np_lua_loc(s);
    s->budget -= NP_LUA_OP_COST;
    fprintf(stderr, "%s:%d:", loc.file, loc.line);
    for (int i = 1; i <= lua_gettop(L); i++) {
        fprintf(stderr, " %s", luaL_tolstring(L, i, NULL));
        lua_pop(L, 1);
    }
    fputc('\n', stderr);
    return 0;
}

/* Upvalue: the library's own function, called with the same arguments if they
 * ask for no more than COPY_MAX steps inside C. */
static int bounded_rep(lua_State *L)
{
    if (luaL_checkinteger(L, 2) > COPY_MAX)
        return np_lua_fail(np_lua_of(L), "string.rep: more than %d times", COPY_MAX);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static int bounded_move(lua_State *L)
{
    lua_Integer f = luaL_checkinteger(L, 2), e = luaL_checkinteger(L, 3);
    if (e >= f && (uint64_t)e - (uint64_t)f > COPY_MAX)
        return np_lua_fail(np_lua_of(L), "table.move: more than %d values", COPY_MAX);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 1);
    return 1;
}

static void bound(lua_State *L, const char *lib, const char *name, lua_CFunction fn)
{
    lua_getglobal(L, lib);
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void sandbox(lua_State *L)
{
    static const char *const keep[] = {"assert", "error",  "ipairs", "next",     "rawequal", "rawget",
                                       "rawlen", "rawset", "select", "tonumber", "tostring", "type"};
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 1);
    lua_createtable(L, 0, 16);
    for (size_t i = 0; i < NP_LEN(keep); i++) {
        lua_getfield(L, 1, keep[i]);
        lua_setfield(L, 2, keep[i]);
    }
    lua_pushnil(L);
    while (lua_next(L, 1)) { /* luaopen_base wrote into the globals: empty them */
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, 1);
    }
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 1);
    }
    lua_settop(L, 0);
    luaL_requiref(L, "string", luaopen_string, 1);
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    luaL_requiref(L, "table", luaopen_table, 1);
    luaL_requiref(L, "math", luaopen_math, 1);
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, 1);
    lua_call(L, 1, 0);
    lua_pushnil(L);
    lua_setfield(L, -2, "randomseed");
    lua_settop(L, 0);
    bound(L, "string", "rep", bounded_rep);
    bound(L, "table", "move", bounded_move);
    lua_register(L, "print", lua_print);
    lua_register(L, "require", lua_require);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "np.required");
}

/* ---- */
static int boot(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    lua_CFunction fn = lua_tocfunction(L, 1);
    lua_settop(L, 0);
    sandbox(L);
    np_bind_open(s);
    np_lua_compile(s, np_str_new(s->cx, "neap.lua"), np_embed_frontend_neap_lua,
                   np_embed_frontend_neap_lua_len);
    lua_call(L, 0, 0);
    lua_settop(L, 0);
    return fn(L);
}

np_status np_lua_run(np_lua *s, lua_CFunction fn)
{
    s->budget = BUDGET;
    s->memory = 0;
    s->L = NULL;
    lua_State *L = lua_newstate(allocate, s);
    if (!L) {
        np_error(s->cx, (np_loc){.file = s->o->path}, "no memory for Lua");
        return NP_FAIL;
    }
    s->L = L;
    *(np_lua **)lua_getextraspace(L) = s;
    lua_sethook(L, hook, LUA_MASKCOUNT | LUA_MASKRET, NP_LUA_HOOK);
    lua_pushcfunction(L, handler);
    lua_pushcfunction(L, boot);
    lua_pushcfunction(L, fn);
    int status = lua_pcall(L, 1, 0, 1);
    if (status == LUA_ERRMEM && s->mistakes == 0)
        np_lua_error(s, s->refused, "the description needs more than %d MiB of memory", MEMORY >> 20);
    s->L = NULL;
    lua_close(L);
    return status == LUA_OK && s->mistakes == 0 ? NP_OK : NP_FAIL;
}
