/* neap info: what lies in a file. Its kind is told by its first bytes, not by
 * its name; only a folder and a .np module are told by what they are called. */
#include "driver.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static void print_bytes(double n)
{
    static const char *const unit[] = {"bytes", "KiB", "MiB", "GiB"};
    int u = 0;
    while (n >= 10000 && u < 3) n /= 1024, u++;
    printf(u ? "%.1f %s" : "%.0f %s", n, unit[u]);
}

static void print_setting(const np_setting *s)
{
    printf("  %s = ", s->key);
    switch (s->kind) {
    case NP_SET_NUM: printf("%.12g", s->num); break;
    case NP_SET_BOOL: printf("%s", s->num != 0 ? "true" : "false"); break;
    case NP_SET_STR: printf("%s", s->str); break;
    case NP_SET_LIST:
        for (int i = 0; i < s->n; i++) printf(i ? ", %g" : "[%g", s->list[i]);
        printf(s->n ? "]" : "[]");
        break;
    case NP_SET_NAMES:
        for (int i = 0; i < s->n; i++) printf(i ? ", %s" : "[%s", s->names[i]);
        printf("]");
    }
    printf("\n");
}

static void print_tensors(const np_tensors *f)
{
    size_t bytes = 0;
    int64_t numbers = 0;
    for (int i = 0; i < f->n; i++) {
        const np_stored *t = &f->t[i];
        printf("  %-44s %s[", t->name, np_dtype_text(t->dtype));
        for (int k = 0; k < t->rank; k++) printf(k ? ",%" PRId64 : "%" PRId64, t->dim[k]);
        printf("]\n");
        bytes += t->bytes;
        numbers += (int64_t)(t->bytes / (size_t)np_dtype_size(t->dtype));
    }
    printf("%d tensors, %" PRId64 " numbers, ", f->n, numbers);
    print_bytes((double)bytes);
    printf("\n");
    for (int i = 0; i < f->nmeta; i++) printf("  %s: %s\n", f->meta_key[i], f->meta_value[i]);
}

static int print_checkpoint(np_cx *cx, const char *path)
{
    const np_checkpoint *c = np_checkpoint_open(cx, path);
    if (!c) return NP_EXIT_INPUT;
    printf("%s: %s%s%s\n", path, c->format, c->model_type ? ", model_type " : "",
           c->model_type ? c->model_type : "");
    for (int i = 0; i < c->config.n; i++) print_setting(&c->config.s[i]);
    print_tensors(c->tensors);
    return NP_EXIT_DONE;
}

static int print_module(np_cx *cx, const char *path, const unsigned char *text, size_t n)
{
    np_mod *m = np_parse(cx, path, (const char *)text, n);
    if (!m) return NP_EXIT_INPUT;
    printf("%s: a module, %d functions, %d weights\n", path, m->nfns, m->nweights);
    for (int i = 0; i < m->nfns; i++) {
        static const char *const stage[] = {"tensor", "loop", "placed"};
        const np_fn *f = m->fn[i];
        printf("  @%s: %d inputs, %d states, %d outputs, %u nodes, stage %s\n", f->name, f->ninputs,
               f->nstates, f->nouts, f->nnodes, stage[f->stage]);
    }
    np_mod_free(m);
    return NP_EXIT_DONE;
}

static int print_vocab(const char *path, const np_vocab *v)
{
    printf("%s: llama2.c tokenizer, %d tokens, the longest has %d bytes\n", path, v->n, v->max_len);
    return NP_EXIT_DONE;
}

/* As runtime/rt_state.c writes it; whether its sum is right, the program that loads it says. */
static int print_state(np_cx *cx, const char *path, const unsigned char *p, size_t n)
{
    uint64_t h[6]; /* order of bytes, model, tokens, vocabulary, bytes of state, are there logits */
    if (n < 8 + sizeof h) {
        np_error(cx, (np_loc){.file = np_str_new(cx, path)}, "a saved state that is cut off");
        return NP_EXIT_INPUT;
    }
    memcpy(h, p + 8, sizeof h);
    if (h[0] != 0x0102030405060708u) {
        np_error(cx, (np_loc){.file = np_str_new(cx, path)},
                 "a saved state of a machine with another order of bytes");
        return NP_EXIT_INPUT;
    }
    printf("%s: saved state, version %d\n  model %016" PRIx64 "\n  %" PRIu64
           " tokens of a vocabulary of %" PRIu64 "\n  %" PRIu64 " bytes of state%s\n",
           path, p[7], h[1], h[2], h[3], h[4], h[5] ? ", logits of the last token" : "");
    return NP_EXIT_DONE;
}

int np_info_main(np_cx *cx, const np_options *o)
{
    const char *path = o->arg[0], *dot = strrchr(path, '.');
    struct stat st;
    size_t n;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return print_checkpoint(cx, path);
    const unsigned char *p = np_file_read(cx, path, &n);
    if (!p) return NP_EXIT_INPUT;
    if (dot && strcmp(dot, ".np") == 0) return print_module(cx, path, p, n);
    if (n >= 7 && memcmp(p, "neap st", 7) == 0) return print_state(cx, path, p, n);
    np_cx *quiet = np_cx_new(); /* a tokenizer has no mark: it is one if it reads as one */
    const np_vocab *v = np_vocab_parse(quiet, path, p, n, -1);
    int status = v ? print_vocab(path, v) : print_checkpoint(cx, path);
    np_cx_free(quiet);
    return status;
}
