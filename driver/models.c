/* neap models: the descriptions that come with neap, a line each: the name,
 * what its first comment says, the checkpoints that it serves. */
#include "driver.h"

#include <string.h>

/* The first sentence of the comment at the top. */
static void print_what(const char *source)
{
    const char *p = source;
    while (*p == '-' || *p == ' ') p++;
    size_t n = strcspn(p, "\n");
    const char *stop = strstr(p, ". ");
    if (stop && (size_t)(stop - p) < n) n = (size_t)(stop - p);
    while (n > 0 && (p[n - 1] == '.' || p[n - 1] == ':')) n--;
    printf("%.*s", (int)n, p);
}

static np_status print_folder(np_cx *cx, np_str dir, const char *prefix)
{
    np_str *name;
    int n = np_job_list(cx, dir, &name);
    for (int i = 0; i < n; i++) {
        const np_model *m = np_load_head(cx, np_str_fmt(cx, "%s/%s.lua", dir, name[i]));
        if (!m) return NP_FAIL;
        printf("%-26s ", np_str_fmt(cx, "%s%s", prefix, name[i]));
        print_what(m->source);
        for (int k = 0; k < m->nserves; k++) {
            const np_serves *e = &m->serves[k];
            printf("%s%s%s", k ? ", " : " (checkpoints ", e->type ? "of " : "with ",
                   e->type ? e->type : e->has[0]);
        }
        printf("%s%s\n", m->nserves ? ")" : "", m->weights ? " (weights included)" : "");
    }
    return NP_OK;
}

int np_models_main(np_cx *cx, const np_options *o)
{
    np_str dir = np_job_models(cx);
    (void)o;
    if (!dir) {
        np_error(cx, (np_loc){0},
                 "the folder of models is neither beside this program nor where it was built");
        return NP_EXIT_INPUT;
    }
    if (print_folder(cx, dir, "") || print_folder(cx, np_str_fmt(cx, "%s/mixers", dir), "mixers/"))
        return NP_EXIT_INPUT;
    return NP_EXIT_DONE;
}
