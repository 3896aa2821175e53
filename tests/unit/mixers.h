/* The mixers of models/mixers as their data (tests/data/mixers) build them: settings
 * and the shapes of inputs are those of the file. */
#ifndef TEST_MIXERS_H
#define TEST_MIXERS_H

#include "doors.h"
#include "context.h"

#define SOURCE NP_SOURCE_DIR "/"

static inline bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p++)
        if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
    return false;
}
/* NULL and errors in cx if something is wrong. set: one more setting, or NULL. */
static inline np_model *mixer_load(const char *lua, const char *data, const char *set, np_tensors **file)
{
    np_settings s = {0};
    np_shape shape[32];
    int n = 0;
    np_tensors *f = *file = np_tensors_read(cx, data);
    if (!f) return NULL;
    const char *params = np_tensors_meta(f, "params"), *inputs = np_tensors_meta(f, "inputs");
    if (params && np_settings_json(cx, &s, params, strlen(params), "params") != NP_OK) return NULL;
    if (set && np_settings_parse(cx, &s, set) != NP_OK) return NULL;
    for (int i = 0; i < f->n; i++) {
        const np_stored *t = &f->t[i];
        if (!has_word(inputs, t->name)) continue;
        shape[n] = (np_shape){.name = t->name, .dtype = t->dtype, .rank = t->rank};
        memcpy(shape[n++].dim, t->dim, sizeof t->dim);
    }
    return np_load(
        cx, &(np_load_opts){.path = lua, .set = &s, .nshapes = n, .shape = shape, .shapes_known = true});
}
/* The inputs of f as the file has them; free each. */
static inline void mixer_inputs(const np_fn *f, const np_tensors *file, np_tensor *in)
{
    for (int i = 0; i < f->ninputs; i++) {
        const np_node *p = f->top.param[i];
        in[i] = np_tensors_load(np_tensors_find(file, p->name), p->type->dtype);
    }
}
/* The largest distance of outputs from what the file expects. */
static inline double mixer_distance(const np_fn *f, const np_tensor *out, const np_tensors *file)
{
    double worst = 0;
    int seen = 0;
    for (int i = 0; i < f->nouts; i++) {
        const np_stored *s = np_tensors_find(file, np_str_fmt(cx, "%s.f64", f->out_name[i]));
        if (!s) s = np_tensors_find(file, f->out_name[i]);
        if (!s) continue;
        np_tensor want = np_tensors_load(s, NP_F64);
        double d = np_tensor_distance(&out[i], &want);
        if (!(d <= worst)) worst = d;
        seen++;
        np_tensor_free(&want);
    }
    ck_assert_int_gt(seen, 0);
    return worst;
}
/* Calls check for every file of the data for which the folder has a description, each with a new context; how many.
 * Files with `skip` (or NULL) in their names are passed over. */
static inline int each_mixer(const char *folder, const char *skip,
                             void (*check)(const char *lua, const char *data))
{
    char lua[1024], data[1024];
    int n = 0;
    DIR *d = opendir(SOURCE "tests/data/mixers");
    ck_assert(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        const char *dash = strchr(e->d_name, '-');
        if (!dash || !strstr(e->d_name, ".safetensors") || (skip && strstr(e->d_name, skip))) continue;
        snprintf(lua, sizeof lua, SOURCE "%s/%.*s.lua", folder, (int)(dash - e->d_name), e->d_name);
        if (access(lua, R_OK) != 0) continue;
        snprintf(data, sizeof data, SOURCE "tests/data/mixers/%s", e->d_name);
        again();
        check(lua, data);
        n++;
    }
    closedir(d);
    return n;
}

#endif
