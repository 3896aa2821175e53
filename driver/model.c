/* From MODEL and the options to a module with weights.
 *
 * MODEL is the path of a description, the name of one of ours, or a checkpoint,
 * whose model_type names the description: models/TYPE.lua, or the one that
 * serves that type, or that knows the tensors of one that names no type. A name
 * without a slash is looked up among ours first, so that a program `gau` made by
 * `neap build gau` does not hide the model. */
#include "driver.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- folders */
static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static np_str folder_of(np_cx *cx, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? np_str_len(cx, path, (size_t)(slash - path) + 1) : np_str_new(cx, "");
}

/* As a user would write it: relative if it lies below the current folder. */
static np_str shortest(np_cx *cx, const char *path)
{
    char here[4096];
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    bool below = n > 1 && strncmp(path, here, n) == 0 && path[n] == '/';
    return np_str_new(cx, below ? path + n + 1 : path);
}

/* Beside the program (build/neap, ../models), else where it was built. */
np_str np_job_models(np_cx *cx)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    np_str at[2] = {NULL, np_str_new(cx, NP_SOURCE_DIR "/models")}, out = NULL;
    if (n > 0) at[0] = np_str_fmt(cx, "%s../models", folder_of(cx, np_str_len(cx, exe, (size_t)n)));
    for (int i = 0; i < 2 && !out; i++) {
        char *real = at[i] ? realpath(at[i], NULL) : NULL;
        if (real && is_folder(real)) out = shortest(cx, real);
        free(real);
    }
    return out;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const np_str *)a, *(const np_str *)b);
}

int np_job_list(np_cx *cx, np_str dir, np_str **out)
{
    int n = 0, cap = 0;
    DIR *d = opendir(dir);
    if (!d) return -1;
    *out = NULL;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 5 || strcmp(e->d_name + len - 4, ".lua") != 0 || e->d_name[0] == '.') continue;
        if (n == cap) {
            np_str *more = np_arena_array(&cx->perm, (size_t)(cap = 2 * cap + 16), sizeof *more);
            if (n) memcpy(more, *out, (size_t)n * sizeof *more);
            *out = more;
        }
        (*out)[n++] = np_str_len(cx, e->d_name, len - 4);
    }
    closedir(d);
    if (n) qsort(*out, (size_t)n, sizeof **out, by_text);
    return n;
}

/* ---- which description */
static np_str of_ours(np_job *j, const char *name)
{
    static const char *const places[] = {"", "mixers/"};
    np_str models = np_job_models(j->cx);
    for (size_t i = 0; models && i < NP_LEN(places); i++) {
        np_str path = np_str_fmt(j->cx, "%s/%s%s.lua", models, places[i], name);
        if (access(path, F_OK) == 0) return path;
    }
    return NULL;
}

/* The description of ours that serves the checkpoint; the first in order of
 * names, but one that is called as its model_type before all. */
static np_str serving(np_job *j)
{
    np_cx *cx = j->cx;
    np_str type = j->checkpoint->model_type, models = np_job_models(cx), *name;
    np_str path = type && !strchr(type, '/') ? of_ours(j, type) : NULL;
    int n = models && !path ? np_job_list(cx, models, &name) : 0;
    for (int i = 0; i < n && !path; i++) {
        np_str here = np_str_fmt(cx, "%s/%s.lua", models, name[i]);
        const np_model *m = np_load_head(cx, here);
        if (m && np_load_serves(m, j->checkpoint)) path = here;
    }
    return path;
}

static np_status of_checkpoint(np_job *j, const char *arg)
{
    np_cx *cx = j->cx;
    np_loc loc = {.file = np_str_new(cx, arg)};
    j->checkpoint = np_checkpoint_open(cx, arg);
    if (!j->checkpoint) return NP_FAIL;
    np_str type = j->checkpoint->model_type;
    j->path = serving(j);
    if (!j->path && !type)
        np_error(cx, loc,
                 "does not say which model it belongs to, and no model knows it by its tensors; name one and "
                 "give this file as its --weights");
    else if (!j->path)
        np_error(cx, loc,
                 "no model serves its model_type '%s' (neap models lists them); give a description of your "
                 "own and this as its --weights",
                 type);
    return j->path ? NP_OK : NP_FAIL;
}

static np_status no_such(np_job *j, const char *arg)
{
    np_cx *cx = j->cx;
    np_str models = np_job_models(cx), *a = NULL, *b = NULL, near = NULL;
    int n = models ? np_job_list(cx, models, &a) : 0;
    int k = models ? np_job_list(cx, np_str_fmt(cx, "%s/mixers", models), &b) : 0;
    near = n > 0 ? np_str_near(arg, n, a) : NULL;
    if (!near && k > 0) near = np_str_near(arg, k, b);
    np_error(cx, (np_loc){.file = np_str_new(cx, arg)},
             "there is no such file and no model of that name%s%s%s; neap models lists them",
             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return NP_FAIL;
}

static np_status find_path(np_job *j)
{
    const char *arg = j->o->arg[0];
    size_t n = strlen(arg);
    if (n > 4 && strcmp(arg + n - 4, ".lua") == 0) {
        j->path = np_str_new(j->cx, arg);
        return access(arg, F_OK) == 0 ? NP_OK : no_such(j, arg);
    }
    if (!strchr(arg, '/') && (j->path = of_ours(j, arg))) return NP_OK;
    if (access(arg, F_OK) == 0) return of_checkpoint(j, arg);
    j->path = of_ours(j, arg); /* mixers/gla */
    return j->path ? NP_OK : no_such(j, arg);
}

np_status np_job_find(np_job *j)
{
    np_cx *cx = j->cx;
    j->chunk = j->o->chunk > 0 ? (int)j->o->chunk : 0;
    j->abreast = (int)j->o->abreast;
    if (find_path(j)) return NP_FAIL;
    if (j->o->weights) {
        j->checkpoint = np_checkpoint_open(cx, j->o->weights);
        return j->checkpoint ? NP_OK : NP_FAIL;
    }
    if (j->checkpoint) return NP_OK;
    const np_model *head = np_load_head(cx, j->path);
    if (!head) return NP_FAIL;
    if (!head->weights) return NP_OK;
    j->checkpoint = np_checkpoint_open(cx, np_str_fmt(cx, "%s%s", folder_of(cx, j->path), head->weights));
    return j->checkpoint ? NP_OK : NP_FAIL;
}

/* ---- building it */
np_load_opts np_job_opts(np_job *j)
{
    const np_options *o = j->o;
    if (o->batch) np_settings_num(j->cx, &j->set, "size.B", (double)o->batch, "--batch");
    for (int i = 0; i < o->set.n; i++) np_settings_add(j->cx, &j->set, &o->set.s[i]);
    return (np_load_opts){
        .path = j->path, .checkpoint = j->checkpoint, .set = &j->set, .context = o->context};
}

np_status np_job_load(np_job *j, int nshapes, const np_shape *shape)
{
    np_load_opts l = np_job_opts(j);
    l.nshapes = nshapes;
    l.shape = shape;
    l.shapes_known = shape != NULL;
    j->model = np_load(j->cx, &l);
    return j->model ? NP_OK : NP_FAIL;
}

np_status np_job_weights(np_job *j)
{
    const np_mod *m = j->model->mod;
    if (m->nweights == 0) return NP_OK;
    if (j->checkpoint) return np_weights_attach(j->cx, j->model, j->checkpoint);
    np_error(j->cx, m->weight[0]->loc,
             "the model has %d weights, %s first, and none were given: --weights PATH (a safetensors file, a "
             "Hugging Face folder, a llama2.c .bin)",
             m->nweights, m->weight[0]->name);
    return NP_FAIL;
}

void np_job_free(np_job *j)
{
    for (int i = 0; i < j->nplain; i++) {
        np_fn_free(j->plain[i]);
        np_fn_free(j->form[i]);
        j->form[i] = NULL;
    }
    j->nplain = 0;
    if (j->model) np_mod_free(j->model->mod);
    j->model = NULL;
}
