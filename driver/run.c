/* neap run: the program of a model, from the cache if it was built before, with
 * the arguments behind --. What it is called there is a hash of its C text and
 * of the compiler: whatever matters shows in one of the two. */
#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

static np_status make_folder(np_cx *cx, np_str path)
{
    char part[4096];
    for (const char *p = path + 1;; p++) {
        if (*p != '/' && *p) continue;
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            np_error(cx, (np_loc){.file = np_str_new(cx, part)},
                     "the cache cannot be made: %s; XDG_CACHE_HOME names another place", strerror(errno));
            return NP_FAIL;
        }
        if (!*p) return NP_OK;
    }
}

static np_str cache(np_cx *cx)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    np_str dir = xdg && *xdg == '/'     ? np_str_fmt(cx, "%s/neap", xdg)
                 : home && *home == '/' ? np_str_fmt(cx, "%s/.cache/neap", home)
                                        : NULL;
    if (!dir) np_error(cx, (np_loc){0}, "there is no place for the cache: set XDG_CACHE_HOME or HOME");
    return dir && make_folder(cx, dir) == NP_OK ? dir : NULL;
}

/* The program that fits the text, built if it is not there. */
static np_str program(np_job *j, const np_text *text)
{
    np_cx *cx = j->cx;
    np_str dir = cache(cx), cc = dir ? np_cc_find(cx) : NULL;
    const char *named = getenv("CC"); /* flags may follow the compiler's name in it */
    struct stat st;
    if (!cc) return NULL;
    uint64_t a = hash(0xcbf29ce484222325u, text->s, text->n), b = hash(0x84222325cbf29ce4u, cc, strlen(cc));
    if (named) b = hash(b, named, strlen(named) + 1);
    b = hash(b, j->target->cflags, strlen(j->target->cflags));
    if (stat(cc, &st) == 0) {
        int64_t seen[2] = {(int64_t)st.st_size, (int64_t)st.st_mtime};
        b = hash(b, seen, sizeof seen);
    }
    np_str path = np_str_fmt(cx, "%s/%s-%016" PRIx64 "%016" PRIx64, dir, j->model->name, a, b);
    if (access(path, X_OK) == 0) return path;
    return np_cc_build(cx, NP_CC_BIN, text->s, text->n, j->target->cflags, path) ? NULL : path;
}

static np_str prepare(np_job *j)
{
    np_program p;
    np_text text = {0};
    if (np_job_find(j) || np_job_load(j, 0, NULL) || np_job_weights(j)) return NULL;
    if (np_job_derive(j, NP_INIT | NP_PREFILL | NP_STEP) || np_job_need_speech(j) ||
        np_job_tokenizer(j, true))
        return NULL;
    if (np_job_lower(j) || np_job_program(j, true, &p)) return NULL;
    np_str path = np_backend_find("c")->emit(j->cx, &p, &text) == NP_OK ? program(j, &text) : NULL;
    np_text_free(&text);
    return path;
}

int np_run_main(np_cx *cx, const np_options *o)
{
    np_job j = {.cx = cx, .o = o};
    np_str path = prepare(&j);
    const char **argv = np_arena_array(&cx->perm, (size_t)o->nrest + 2, sizeof *argv);
    if (!path) {
        np_job_free(&j);
        return NP_EXIT_INPUT;
    }
    argv[0] = j.model->name;
    for (int i = 0; i < o->nrest; i++) argv[i + 1] = o->rest[i];
    np_job_free(&j);
    np_diag_print(cx, NP_WARNING, stderr);
    fflush(NULL);
    execv(path, (char *const *)(uintptr_t)argv);
    np_error(cx, (np_loc){.file = path}, "cannot be run: %s", strerror(errno));
    return NP_EXIT_INPUT;
}
