/* The bytes as a description: built, and its self-tests prepared, as `neap
 * check` does. An error that is reported is fine. Loops that only end with the
 * budget are not what is looked for: print, which would fill the terminal, and
 * inputs beyond 4 KiB are left out. */
#include "frontend/frontend.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void free_case(np_case *c)
{
    for (int i = 0; i < c->nin; i++) np_tensor_free(&c->in[i]);
    for (int i = 0; i < c->nout; i++) np_tensor_free(&c->out[i]);
    np_mod_free(c->model->mod);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[] = "/tmp/neap-fuzz-XXXXXX";
    np_str *test;
    int fd;
    if (n > 4096 || memmem(p, n, "print", 5)) return 0;
    fd = mkstemp(path);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n) abort();
    close(fd);
    np_cx *cx = np_cx_new();
    np_model *m = np_load(cx, &(np_load_opts){.path = path});
    if (m) np_mod_free(m->mod);
    int tests = np_load_tests(cx, path, &test);
    for (int i = 0; i < tests && i < 4; i++) {
        np_case *c = np_load_test(cx, &(np_load_opts){.path = path}, test[i]);
        if (c) free_case(c);
    }
    np_cx_free(cx);
    remove(path);
    return 0;
}
