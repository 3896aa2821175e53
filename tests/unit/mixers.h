/* The mixers of models/mixers as their data (tests/data/mixers) build them: settings
 * and the shapes of inputs are those of the file. */
#ifndef TEST_MIXERS_H
#define TEST_MIXERS_H

#include "doors.h"

static inline bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p++)
        if ((p == list || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return true;
    return false;
}
/* NULL and errors in cx if something is wrong. set: one more setting, or NULL. */
static inline np_model *mixer_load(np_cx *cx, const char *lua, const char *data, const char *set,
                                   np_tensors **file)
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

#endif
