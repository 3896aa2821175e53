/* The runtime as it is shipped: all of it in one file behind some kernels,
 * compiled as strictly as a user's compiler may be; and the example of
 * docs/library.md. Compilers that are not installed are passed over. */
#include "suite.h"

#include "rt_fake.h"

#include <ctype.h>
#include <sys/wait.h>
#include <unistd.h>

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

#define SOURCE NP_SOURCE_DIR "/"
#define STRICT "-std=c99 -Wall -Wextra -pedantic -Werror -O2 -I" SOURCE
enum { MAX = 1 << 18 };

static char dir[256];
static const char *const compilers[] = {"gcc-12", "clang-14", "clang-19", "cc"};

static void make_dir(void)
{
    new_folder(dir, sizeof dir);
    ck_assert_int_eq(chdir(dir), 0);
}

static void remove_dir(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    remove_folder(dir);
}

static void add_file(char *to, const char *name)
{
    static char text[MAX];
    char path[4096];
    snprintf(path, sizeof path, SOURCE "%s", name);
    get_file(path, text, sizeof text);
    char *end = to + strlen(to);
    for (char *p = text; *p;) { /* as the backend does */
        size_t n = strcspn(p, "\n");
        n += p[n] == '\n';
        if (strncmp(p, "#include \"", 10) != 0) {
            ck_assert_uint_lt((size_t)(end - to) + n + 1, MAX);
            memcpy(end, p, n);
            end += n;
        }
        p += n;
    }
    *end = 0;
}

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert(fputs(text, f) >= 0);
    fclose(f);
}

static int shell(const char *a, const char *b, const char *c)
{
    char line[2000];
    snprintf(line, sizeof line, "%s %s %s", a, b, c);
    int status = system(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int installed(const char *compiler)
{
    return shell("command -v", compiler, ">/dev/null 2>&1") == 0;
}

/* The files that np_rt.h lists, in its order: rt_x.c of the given line, 0 the library's, 1 the main program's. */
static void add_runtime(char *to, int main_too)
{
    static char header[MAX];
    char name[64];
    header[0] = 0;
    add_file(header, "runtime/np_rt.h");
    char *p = strstr(header, "in this order"), *end = strstr(header, "*/");
    int files = 0, lines = 0;
    ck_assert(p && end);
    while ((p = strstr(p, "rt_")) != NULL && p < end) {
        size_t n = strcspn(p, " \n");
        if (p[n - 2] == '.' && p[-1] == ' ' && (main_too || lines == 0)) {
            snprintf(name, sizeof name, "runtime/%.*s", (int)n, p);
            add_file(to, name);
            files++;
        }
        lines += p[n] == '\n';
        p += n;
    }
    ck_assert_int_eq(files, main_too ? 11 : 6);
}

static char *one_file(int program, int main_too)
{
    static char text[MAX];
    snprintf(text, sizeof text, "#define _XOPEN_SOURCE 700\n#define PROGRAM %d\n", program);
    add_file(text, "runtime/np_rt.h");
    strcat(text, "#include \"tests/unit/rt_fake.h\"\n"); /* stands for the kernels */
    add_file(text, "tests/unit/rt_program.c");
    add_runtime(text, main_too);
    return text;
}

START_TEST(test_program)
{
    int compiled = 0;
    put_text("one.c", one_file(2, 1));
    for (size_t i = 0; i < LEN(compilers); i++) {
        if (!installed(compilers[i])) continue;
        compiled++;
        ck_assert_int_eq(shell(compilers[i], STRICT, "one.c -o one -lm"), 0);
        ck_assert_int_eq(shell("./one --temp 0 -n 9 -p the --quiet", i ? "| cmp - first" : "> first", ""), 0);
    }
    ck_assert_int_gt(compiled, 0);
}
END_TEST

/* Each file is a unit of its own, too. */
START_TEST(test_alone)
{
    for (size_t i = 0; i < LEN(compilers); i++) {
        if (!installed(compilers[i])) continue;
        ck_assert_int_eq(shell("for f in " SOURCE "runtime/*.c; do ", compilers[i],
                               STRICT " -Wmissing-prototypes -fsyntax-only $f || exit 1; done"),
                         0);
    }
}
END_TEST

/* In one file with kernels of any name: what is static, or a macro, begins with rt_ or RT_. */
START_TEST(test_names)
{
    static char text[MAX];
    add_runtime(text, 1);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *macro = strncmp(line, "#define ", 8) == 0 ? line + 8 : NULL;
        if (macro)
            ck_assert_msg(strncmp(macro, "RT_", 3) == 0 || strncmp(macro, "_XOPEN_SOURCE", 13) == 0, "%s",
                          line);
        if (strncmp(line, "static ", 7) != 0) continue;
        char *end = line + strcspn(line, "([=;");
        while (end > line && !isalnum((unsigned char)end[-1])) end--;
        while (end > line && (isalnum((unsigned char)end[-1]) || end[-1] == '_')) end--;
        ck_assert_msg(strncmp(end, "rt_", 3) == 0 || strncmp(end, "RT_", 3) == 0, "%s", line);
    }
}
END_TEST

/* The C of docs/library.md, linked with a library that has no main. */
START_TEST(test_example)
{
    static char doc[MAX];
    add_file(doc, "docs/library.md"); /* without its #include "gau.h" */
    char *code = strstr(doc, "```c\n"), *end = code ? strstr(code + 5, "```") : NULL;
    ck_assert_ptr_nonnull(end);
    *end = 0;
    int lines = 0;
    for (char *p = code + 5; *p; p++) lines += *p == '\n';
    ck_assert_int_le(lines, 40);
    static char text[MAX];
    snprintf(text, sizeof text, "#include \"gau.h\"\n%s", code + 5);
    put_text("example.c", text);
    put_text("gau.c", one_file(1, 0));
    text[0] = 0;
    add_file(text, "runtime/np_rt.h");
    put_text("gau.h", text);
    for (size_t i = 0; i < LEN(compilers); i++) {
        if (!installed(compilers[i])) continue;
        ck_assert_int_eq(shell(compilers[i], STRICT, "example.c gau.c -o example -lm"), 0);
        ck_assert_int_eq(shell("./example 'the sea'", i ? "| cmp - first" : "> first", ""), 0);
        ck_assert_int_eq(shell("test -s first && test -s example.state", "", ""), 0);
    }
    ck_assert_int_eq(shell("./example \"$(head -c 300 gau.c | tr -d '\\0')\"", ">/dev/null", ""), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_program, test_alone, test_names, test_example};
    return run_tests_for("rt_source", 300, make_dir, remove_dir, tests, LEN(tests));
}
