/* Opens a checkpoint of any supported kind and gives all of them one form:
 * tensors by name, settings in Hugging Face's keys, and the model that they
 * belong to. A folder is one of Hugging Face's (config.json beside
 * model.safetensors, or beside the index of its shards); a file is told by its
 * first bytes, because names of files promise nothing. */
#include "frontend.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHARDS_MAX = 1024, INDEX_MAX = 1 << 26 };

static np_str in_dir(np_cx *cx, np_str dir, const char *name)
{
    if (strcmp(dir, ".") == 0) return np_str_new(cx, name);
    return np_str_fmt(cx, dir[strlen(dir) - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}

static np_str dir_of(np_cx *cx, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return np_str_new(cx, ".");
    return np_str_len(cx, path, slash == path ? 1 : (size_t)(slash - path));
}

static np_status read_config(np_cx *cx, np_checkpoint *c, np_str path)
{
    size_t n;
    const unsigned char *json = np_file_read(cx, path, &n);
    if (!json || np_settings_json(cx, &c->config, (const char *)json, n, path)) return NP_FAIL;
    const np_setting *type = np_settings_find(&c->config, "model_type");
    if (!type || type->kind != NP_SET_STR) type = np_settings_find(&c->config, "architecture");
    if (type && type->kind == NP_SET_STR) c->model_type = type->str;
    return NP_OK;
}

/* ---- shards: the index says in which file each tensor is. */
typedef struct shards {
    np_cx *cx;
    np_loc loc; /* the index */
    np_str dir;
    int n;
    np_str name[SHARDS_MAX];
    np_tensors *f[SHARDS_MAX];
} shards;

/* Opened once. A name that leads out of the folder is refused: the index is
 * only as trustworthy as where it was fetched from. */
static np_tensors *shard(shards *s, const char *file)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->name[i], file) == 0) return s->f[i];
    if (strchr(file, '/') || file[0] == '.' || !file[0]) {
        np_error(s->cx, s->loc, "the file '%s' must lie in the same folder", file);
        return NULL;
    }
    if (s->n == SHARDS_MAX) {
        np_error(s->cx, s->loc, "names more than %d files", SHARDS_MAX);
        return NULL;
    }
    np_tensors *f = np_tensors_read(s->cx, in_dir(s->cx, s->dir, file));
    if (!f) return NULL;
    s->name[s->n] = np_str_new(s->cx, file);
    s->f[s->n++] = f;
    return f;
}

static np_tensors *read_map(shards *s, json_t *map)
{
    const char *name;
    json_t *file;
    if (!json_is_object(map)) {
        np_error(s->cx, s->loc, "has no \"weight_map\": {tensor: file}");
        return NULL;
    }
    np_tensors *out = np_arena_alloc(&s->cx->perm, sizeof *out);
    out->path = s->loc.file;
    out->t = np_arena_array(&s->cx->perm, json_object_size(map), sizeof *out->t);
    json_object_foreach(map, name, file)
    {
        if (!json_is_string(file)) {
            np_error(s->cx, s->loc, "weight_map: %s must name a file", name);
            return NULL;
        }
        np_tensors *f = shard(s, json_string_value(file));
        const np_stored *t = f ? np_tensors_find(f, name) : NULL;
        if (f && !t) np_error(s->cx, s->loc, "tensor %s is not in %s", name, f->path);
        if (!t) return NULL;
        out->t[out->n++] = *t;
    }
    return out;
}

static np_tensors *read_shards(np_cx *cx, np_str dir, np_str index)
{
    shards *s = np_arena_alloc(&cx->perm, sizeof *s);
    json_error_t err;
    size_t n;
    const unsigned char *text = np_file_read(cx, index, &n);
    s->cx = cx;
    s->loc.file = index;
    s->dir = dir;
    if (!text) return NULL;
    if (n > INDEX_MAX) {
        np_error(cx, s->loc, "%zu bytes of JSON; an index has at most %d", n, INDEX_MAX);
        return NULL;
    }
    json_t *j = json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, &err);
    if (!j) {
        s->loc.line = err.line > 0 ? err.line : 0;
        np_error(cx, s->loc, "not valid JSON: %s", err.text);
        return NULL;
    }
    np_tensors *out = read_map(s, json_object_get(j, "weight_map"));
    json_decref(j);
    return out;
}

static np_status open_folder(np_cx *cx, np_checkpoint *c)
{
    np_str file = in_dir(cx, c->dir, "model.safetensors");
    np_str index = in_dir(cx, c->dir, "model.safetensors.index.json");
    c->format = np_str_new(cx, "hf");
    if (read_config(cx, c, in_dir(cx, c->dir, "config.json"))) return NP_FAIL;
    if (access(file, F_OK) == 0) {
        c->tensors = np_tensors_read(cx, file);
    } else if (access(index, F_OK) == 0) {
        c->tensors = read_shards(cx, c->dir, index);
    } else {
        np_error(cx, (np_loc){.file = c->path},
                 "holds neither model.safetensors nor model.safetensors.index.json; "
                 "other formats must be converted to safetensors first");
    }
    return c->tensors ? NP_OK : NP_FAIL;
}

/* ---- single files */

/* What else people have lying around: told apart so that the message can help. */
static const struct {
    const char *magic, *what;
} foreign[] = {
    {"GGUF", "a GGUF file"},
    {"PK\3\4", "a PyTorch archive (pickle inside)"},
    {"\x80\2", "a Python pickle"},
    {"lmgg", "an old ggml file"},
    {"\x89HDF", "an HDF5 file"},
    {"{", "JSON text"},
};

static const char *foreign_kind(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < NP_LEN(foreign); i++) {
        size_t len = strlen(foreign[i].magic);
        if (n >= len && memcmp(p, foreign[i].magic, len) == 0) return foreign[i].what;
    }
    return NULL;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static np_status open_file(np_cx *cx, np_checkpoint *c)
{
    size_t n;
    const unsigned char *p = np_file_read(cx, c->path, &n);
    if (!p) return NP_FAIL;
    if (ends_with(c->path, ".safetensors") || (n > 8 && p[8] == '{' && p[7] == 0)) {
        np_str config = in_dir(cx, c->dir, "config.json");
        c->format = np_str_new(cx, "safetensors");
        c->tensors = np_tensors_parse(cx, c->path, p, n);
        if (!c->tensors) return NP_FAIL;
        return access(config, F_OK) == 0 ? read_config(cx, c, config) : NP_OK;
    }
    if (n >= 4 && memcmp(p, "fmgg", 4) == 0) return np_ggmf_parse(cx, c, p, n);
    const char *kind = foreign_kind(p, n);
    if (kind) {
        np_error(
            cx, (np_loc){.file = c->path},
            "is %s; weights are read from safetensors files, Hugging Face folders, llama2.c and ggmf .bin files",
            kind);
        return NP_FAIL;
    }
    return np_llama2c_parse(cx, c, p, n);
}

np_checkpoint *np_checkpoint_open(np_cx *cx, const char *path)
{
    np_checkpoint *c = np_arena_alloc(&cx->perm, sizeof *c);
    struct stat st;
    c->path = np_str_new(cx, path);
    if (stat(path, &st) != 0) {
        np_error(cx, (np_loc){.file = c->path}, "cannot open: %s", strerror(errno));
        return NULL;
    }
    c->dir = S_ISDIR(st.st_mode) ? c->path : dir_of(cx, path);
    return (S_ISDIR(st.st_mode) ? open_folder(cx, c) : open_file(cx, c)) ? NULL : c;
}
