/* np_load: a description becomes a module with the function main.
 *
 * The file gives a table; its build function is called once with the config
 * and makes nodes as it runs. It is read a second time only if it turns out
 * late which axis is time (bind_axis.c). Outputs stand in order of their names. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

enum { OUTPUTS = 64, SERVES = 64, TENSORS = 16 };

/* ---- fields of the model table */
static np_str field_text(np_lua *s, int t, const char *key)
{
    np_str out = NULL;
    int kind = lua_getfield(s->L, t, key);
    if (kind == LUA_TSTRING)
        out = np_str_new(s->cx, lua_tostring(s->L, -1));
    else if (kind != LUA_TNIL)
        np_lua_fail(s, "%s must be a text, not a %s", key, luaL_typename(s->L, -1));
    lua_pop(s->L, 1);
    return out;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const np_str *)a, *(const np_str *)b);
}

/* The names (keys) of the table at the top of the stack, in order. */
static int names_of(np_lua *s, const char *what, np_str **out)
{
    lua_State *L = s->L;
    int n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
    np_str *list = np_arena_array(&s->cx->perm, (size_t)n + 1, sizeof *list);
    n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) np_lua_fail(s, "%s: names are wanted as keys", what);
        list[n++] = np_str_new(s->cx, lua_tostring(L, -2));
    }
    if (n) qsort(list, (size_t)n, sizeof *list, by_text);
    *out = list;
    return n;
}

static void read_names(np_lua *s, int model)
{
    np_model *m = s->model;
    int t = lua_getfield(s->L, model, "names");
    if (t != LUA_TTABLE && t != LUA_TNIL)
        np_lua_fail(s, "names must be a table: names = { [\"h.#.ln.weight\"] = \"layers.#.norm.weight\" }");
    if (t == LUA_TTABLE) {
        m->nnames = names_of(s, "names", &m->name_from);
        m->name_to = np_arena_array(&s->cx->perm, (size_t)m->nnames + 1, sizeof *m->name_to);
        for (int i = 0; i < m->nnames; i++) {
            m->name_to[i] = field_text(s, lua_gettop(s->L), m->name_from[i]);
        }
    }
    lua_pop(s->L, 1);
}

static int whole_field(np_lua *s, const char *key)
{
    int out = -1;
    if (lua_getfield(s->L, -1, key) != LUA_TNIL) out = (int)luaL_checkinteger(s->L, -1);
    lua_pop(s->L, 1);
    return out;
}

static void read_tokenizer(np_lua *s, int model)
{
    np_model *m = s->model;
    m->start = m->separator = -1;
    int t = lua_getfield(s->L, model, "tokenizer");
    if (t == LUA_TTABLE) {
        m->tokenizer = field_text(s, lua_gettop(s->L), "kind");
        m->start = whole_field(s, "start");
        m->separator = whole_field(s, "separator");
        if (!m->tokenizer || (strcmp(m->tokenizer, "bytes") != 0 && strcmp(m->tokenizer, "file") != 0))
            np_lua_fail(s, "tokenizer: kind is \"bytes\" or \"file\"");
    } else if (t != LUA_TNIL) {
        np_lua_fail(s, "tokenizer must be a table: tokenizer = { kind = \"bytes\", start = 0 }");
    }
    lua_pop(s->L, 1);
}

static void read_context(np_lua *s, int model)
{
    int t = lua_getfield(s->L, model, "context");
    if (t == LUA_TSTRING) {
        np_config_push(s, lua_tostring(s->L, -1));
        lua_replace(s->L, -2);
    }
    if (lua_isinteger(s->L, -1))
        s->model->context = lua_tointeger(s->L, -1);
    else if (t != LUA_TNIL && !lua_isnil(s->L, -1))
        np_lua_fail(s, "context is a number of positions, or the name of a config key that is one");
    lua_pop(s->L, 1);
    if (s->o->context > 0) s->model->context = s->o->context;
    if (s->model->context < 0 || s->model->context > INT32_MAX)
        np_lua_fail(s, "context: %lld positions are not possible", (long long)s->model->context);
}

/* ---- serves */
static int bad_serves(np_lua *s)
{
    return np_lua_fail(s,
                       "serves is a list of checkpoints' model_types, or of what tells one that names none: "
                       "serves = { \"mistral\", { has = { \"emb.weight\" }, lacks = { \"att.w\" } } }");
}

/* Field `key` of the entry at the top: a list of names of tensors, or nil. */
static int tensor_names(np_lua *s, const char *key, np_str **out)
{
    lua_State *L = s->L;
    int t = lua_getfield(L, -1, key);
    lua_Integer n = t == LUA_TTABLE ? luaL_len(L, -1) : 0;
    if ((t != LUA_TTABLE && t != LUA_TNIL) || n < 0 || n > TENSORS) bad_serves(s);
    np_str *list = np_arena_array(&s->cx->perm, (size_t)n + 1, sizeof *list);
    for (int i = 0; i < (int)n; i++) {
        if (lua_geti(L, -1, i + 1) != LUA_TSTRING) bad_serves(s);
        list[i] = np_str_new(s->cx, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    *out = list;
    return (int)n;
}

static void read_serves(np_lua *s, int model)
{
    lua_State *L = s->L;
    np_model *m = s->model;
    int t = lua_getfield(L, model, "serves");
    lua_Integer n = t == LUA_TTABLE ? luaL_len(L, -1) : 0;
    if ((t != LUA_TTABLE && t != LUA_TNIL) || n < 0 || n > SERVES) bad_serves(s);
    m->serves = np_arena_array(&s->cx->perm, (size_t)n + 1, sizeof *m->serves);
    for (m->nserves = 0; m->nserves < (int)n; m->nserves++, lua_pop(L, 1)) {
        np_serves *e = &m->serves[m->nserves];
        *e = (np_serves){0};
        t = lua_geti(L, -1, m->nserves + 1);
        if (t == LUA_TSTRING) {
            e->type = np_str_new(s->cx, lua_tostring(L, -1));
            continue;
        }
        if (t != LUA_TTABLE) bad_serves(s);
        e->nhas = tensor_names(s, "has", &e->has);
        e->nlacks = tensor_names(s, "lacks", &e->lacks);
        if (e->nhas == 0) bad_serves(s);
    }
    lua_pop(L, 1);
}

static bool fits_tensors(const np_serves *e, const np_tensors *t)
{
    bool ok = !e->type;
    for (int i = 0; ok && i < e->nhas; i++) ok = np_tensors_find(t, e->has[i]) != NULL;
    for (int i = 0; ok && i < e->nlacks; i++) ok = np_tensors_find(t, e->lacks[i]) == NULL;
    return ok;
}

bool np_load_serves(const np_model *head, const np_checkpoint *c)
{
    np_str type = c->model_type;
    bool ok = type && strcmp(head->name, type) == 0;
    for (int i = 0; !ok && i < head->nserves; i++) {
        const np_serves *e = &head->serves[i];
        ok = type ? e->type && strcmp(e->type, type) == 0 : fits_tensors(e, c->tensors);
    }
    return ok;
}

/* What needs no building. */
static void read_head(np_lua *s, int model)
{
    np_model *m = s->model;
    np_str name = field_text(s, model, "name");
    if (name) m->name = name;
    m->weights = field_text(s, model, "weights");
    read_serves(s, model);
}

int np_load_table(np_lua *s)
{
    np_lua_compile(s, s->model->path, s->model->source, strlen(s->model->source));
    lua_call(s->L, 0, 1);
    if (!lua_istable(s->L, -1))
        np_lua_fail(s, "%s must return the model: return model { build = function(c) .. end }",
                    s->model->path);
    int model = lua_gettop(s->L);
    if (lua_getfield(s->L, model, "tests") == LUA_TTABLE)
        s->model->ntests = names_of(s, "tests", &s->model->test);
    lua_pop(s->L, 1);
    return model;
}

/* ---- the function */

/* What is fed to a scan is called in its body as it is outside. */
static void name_slices(void *env, const np_node *n)
{
    (void)env;
    if (n->op != NP_SCAN) return;
    for (int i = 0; i < n->nargs; i++) {
        const np_node *x = n->arg[i];
        if (!x->name && x->op == NP_PERMUTE) x = x->arg[0];
        if (!n->body[0]->param[i]->name) n->body[0]->param[i]->name = x->name;
    }
}

static void finish(np_lua *s)
{
    lua_State *L = s->L;
    np_str *name;
    np_node *value[OUTPUTS];
    if (!lua_istable(L, -1))
        np_lua_fail(s, "build must return a table of outputs: return { logits = x:as {T, V} }");
    int n = names_of(s, "build", &name), t = lua_gettop(L);
    if (n == 0 || n > OUTPUTS) np_lua_fail(s, "build returns %d outputs; 1 to %d are possible", n, OUTPUTS);
    for (int i = 0; i < n; i++) {
        lua_getfield(L, t, name[i]);
        np_val *v = np_bind_is_val(s, -1);
        if (!v && !lua_isnumber(L, -1))
            np_lua_fail(s, "output %s is a %s, not a tensor", name[i], luaL_typename(L, -1));
        np_val out = np_bind_see(s, t + 1);
        value[i] = out.node ? np_bind_align(s, &out, out.rank, out.order) : NULL;
        if (!value[i] && s->mistakes == 0)
            np_bug(s->cx, "output %s could not be made and nobody said why", name[i]);
        lua_pop(L, 1);
    }
    if (s->mistakes) return;
    np_build_ret(s->b, n, name, n, value);
    np_fn_walk(s->fn, name_slices, NULL);
    np_fn_sweep(s->fn);
    np_mod_put(s->model->mod, s->fn);
    s->fn = NULL;
}

void np_load_build(np_lua *s, int model)
{
    lua_State *L = s->L;
    np_model *m = s->model;
    read_head(s, model);
    read_names(s, model);
    read_tokenizer(s, model);
    np_config_open(s, model);
    int c = lua_gettop(L);
    read_context(s, model);
    m->mod = np_mod_new(s->cx, m->name);
    s->fn = np_fn_new(m->mod, "main", NP_STAGE_TENSOR);
    s->fn->loc = (np_loc){.file = m->path};
    s->b = np_build_new(s->fn);
    if (lua_getfield(L, model, "build") != LUA_TFUNCTION) np_lua_fail(s, "the model has no build function");
    lua_pushvalue(L, c);
    s->naming = true;
    lua_call(L, 1, 1);
    s->naming = false;
    np_config_close(s);
    finish(s);
    lua_settop(L, c);
}

static int run_load(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    np_load_build(s, np_load_table(s));
    return 0;
}

/* ---- doors */
static np_str base_name(np_cx *cx, np_str path)
{
    const char *slash = strrchr(path, '/'), *p = slash ? slash + 1 : path, *dot = strrchr(p, '.');
    return np_str_len(cx, p, dot && dot > p ? (size_t)(dot - p) : strlen(p));
}

np_status np_load_run(np_cx *cx, np_lua *s, const np_load_opts *o, lua_CFunction fn)
{
    size_t n;
    const char *text = (const char *)np_file_read(cx, o->path, &n);
    np_str time = np_str_new(cx, "T"), path = np_str_new(cx, o->path);
    if (!text) return NP_FAIL;
    if (n > NP_LOAD_FILE_MAX) {
        np_error(cx, (np_loc){.file = path}, "%zu bytes; a description has at most %d", n, NP_LOAD_FILE_MAX);
        return NP_FAIL;
    }
    np_str source = np_str_len(cx, text, n);
    for (int again = 0; again < 2; again++) {
        np_model *m = np_arena_alloc(&cx->perm, sizeof *m);
        const char *slash = strrchr(path, '/');
        *m = (np_model){.path = path, .source = source, .name = base_name(cx, path)};
        lua_CFunction run = fn;
        np_lua keep = {.cx = cx,
                       .o = o,
                       .model = m,
                       .time_axis = time,
                       .time_len = -1,

                       .testing = s->testing,
                       .out = s->out,
                       .test_name = s->test_name};
        *s = keep;
        s->dir = slash ? np_str_len(cx, path, (size_t)(slash - path) + 1) : np_str_new(cx, "");
        s->scope = s->prefix = np_str_new(cx, "");
        np_status st = np_lua_run(s, run);
        np_fn_free(s->fn);
        s->fn = NULL;
        if (st == NP_OK) return NP_OK;
        if (m->mod) np_mod_free(m->mod);
        if (!s->restart) return NP_FAIL;
        time = s->time_axis;
    }
    return NP_FAIL;
}

np_model *np_load(np_cx *cx, const np_load_opts *o)
{
    np_lua s = {0};
    return np_load_run(cx, &s, o, run_load) ? NULL : s.model;
}

static int run_head(lua_State *L)
{
    np_lua *s = np_lua_of(L);
    read_head(s, np_load_table(s));
    return 0;
}

np_model *np_load_head(np_cx *cx, const char *path)
{
    np_lua s = {0};
    return np_load_run(cx, &s, &(np_load_opts){.path = path}, run_head) ? NULL : s.model;
}

int np_load_tests(np_cx *cx, const char *path, np_str **out)
{
    np_model *m = np_load_head(cx, path);
    if (!m) return -1;
    *out = m->test;
    return m->ntests;
}
