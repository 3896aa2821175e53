/* The C compiler of this machine, run on text that was just written. The result
 * is made beside its place and renamed when it is whole. No shell is involved. */
#include "c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAXARGS = 64, SHOWN = 6 /* lines of the compiler's complaint */ };
typedef struct command {
    np_cx *cx;
    const char *arg[MAXARGS + 1];
    int n;
} command;

static void words(command *c, const char *s)
{
    while (*s) {
        size_t n = strcspn(s, " ");
        if (n && c->n < MAXARGS) c->arg[c->n++] = np_str_len(c->cx, s, n);
        s += n + (s[n] == ' ');
    }
}
static void word(command *c, const char *s)
{
    if (c->n < MAXARGS) c->arg[c->n++] = s;
}
/* Where it lies, in file if it is found through $PATH. */
static const char *on_path(const char *program, char file[4096])
{
    if (strchr(program, '/')) return access(program, X_OK) == 0 ? program : NULL;
    const char *path = getenv("PATH");
    for (const char *p = path ? path : "/usr/bin:/bin"; *p;) {
        size_t n = strcspn(p, ":");
        struct stat st;
        snprintf(file, 4096, "%.*s/%s", (int)n, p, program);
        if (access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode)) return file;
        p += n + (p[n] == ':');
    }
    return NULL;
}
static bool find_compiler(command *c)
{
    char file[4096];
    static const char *const usual[] = {"cc", "gcc", "clang"};
    const char *cc = getenv("CC");
    if (cc && *cc) {
        words(c, cc);
        if (c->n && on_path(c->arg[0], file)) return true;
        np_error(c->cx, (np_loc){0}, "the C compiler \"%s\" (from $CC) is not there", cc);
        return false;
    }
    for (size_t i = 0; i < NP_LEN(usual); i++)
        if (on_path(usual[i], file)) {
            word(c, usual[i]);
            return true;
        }
    np_error(c->cx, (np_loc){0}, "there is no C compiler: install gcc or clang, or name one in $CC");
    return false;
}
np_str np_cc_find(np_cx *cx)
{
    command c = {.cx = cx};
    char file[4096];
    return find_compiler(&c) ? np_str_new(cx, on_path(c.arg[0], file)) : NULL;
}
/* Runs it with its messages in the file `log`; its status, 127 if it did not start. */
static int run(command *c, const char *log)
{
    c->arg[c->n] = NULL;
    pid_t child = fork();
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), in = open("/dev/null", O_RDONLY);
        if (in >= 0) dup2(in, 0);
        if (fd >= 0) dup2(fd, 1), dup2(fd, 2);
        execvp(c->arg[0], (char *const *)(uintptr_t)c->arg);
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 127;
    return child < 0 ? 127 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
static void complain(np_cx *cx, const command *c, const char *log, int status)
{
    char text[1500];
    size_t n = 0;
    FILE *f = fopen(log, "r");
    if (f) {
        n = fread(text, 1, sizeof text - 1, f);
        fclose(f);
    }
    text[n] = 0;
    char *end = text;
    for (int i = 0; i < SHOWN && *end; i++) end += strcspn(end, "\n") + (end[strcspn(end, "\n")] == '\n');
    while (end > text && end[-1] == '\n') end--;
    *end = 0;
    np_error(cx, (np_loc){0}, "the C compiler %s failed (status %d)%s%s", c->arg[0], status,
             *text ? ":\n" : "", text);
}
static np_status write_text(np_cx *cx, const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "w");
    bool good = f && fwrite(text, 1, n, f) == n;
    if (f && fclose(f) != 0) good = false;
    if (!good) np_error(cx, (np_loc){.file = np_str_new(cx, path)}, "cannot write: %s", strerror(errno));
    return good ? NP_OK : NP_FAIL;
}

static np_status compile(np_cx *cx, np_cckind kind, const char *flags, const char *source, const char *to,
                         const char *log)
{
    command c = {.cx = cx};
    if (!find_compiler(&c)) return NP_FAIL;
    word(&c, "-std=c99");
    words(&c, flags);
    if (kind == NP_CC_SO) word(&c, "-shared"), word(&c, "-fPIC");
    if (kind == NP_CC_OBJ || kind == NP_CC_LIB) word(&c, "-c");
    if (kind == NP_CC_ASM) word(&c, "-S");
    word(&c, "-o"), word(&c, to), word(&c, source);
    if (kind == NP_CC_BIN || kind == NP_CC_SO) word(&c, "-lm");
    int status = run(&c, log);
    if (status) complain(cx, &c, log, status);
    return status ? NP_FAIL : NP_OK;
}
static np_status archive(np_cx *cx, const char *object, const char *to, const char *log)
{
    command c = {.cx = cx};
    words(&c, "ar rcsD");
    word(&c, to), word(&c, object);
    int status = run(&c, log);
    if (status == 127)
        np_error(cx, (np_loc){0}, "there is no ar, which makes libraries: install binutils");
    else if (status)
        complain(cx, &c, log, status);
    return status ? NP_FAIL : NP_OK;
}
bool np_cc_folder(np_cx *cx, char dir[4096])
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, 4096, "%s/neap-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (mkdtemp(dir)) return true;
    np_error(cx, (np_loc){.file = np_str_new(cx, dir)}, "cannot be made: %s", strerror(errno));
    return false;
}
np_status np_cc_build(np_cx *cx, np_cckind kind, const char *text, size_t n, const char *flags,
                      const char *out)
{
    char dir[4096];
    np_str aside = np_str_fmt(cx, "%s.tmp-%ld", out, (long)getpid());
    FILE *there = fopen(aside, "w"); /* asked before the compiler takes its time */
    if (!there) {
        np_error(cx, (np_loc){.file = np_str_new(cx, out)}, "cannot write: %s", strerror(errno));
        return NP_FAIL;
    }
    fclose(there);
    unlink(aside);
    if (!np_cc_folder(cx, dir)) return NP_FAIL;
    np_str source = np_str_fmt(cx, "%s/model.c", dir), object = np_str_fmt(cx, "%s/model.o", dir),
           log = np_str_fmt(cx, "%s/log", dir);
    np_status r = write_text(cx, source, text, n);
    if (r == NP_OK) r = compile(cx, kind, flags, source, kind == NP_CC_LIB ? object : aside, log);
    if (r == NP_OK && kind == NP_CC_LIB) r = archive(cx, object, aside, log);
    if (r == NP_OK && rename(aside, out) != 0) {
        np_error(cx, (np_loc){.file = np_str_new(cx, out)}, "cannot write: %s", strerror(errno));
        r = NP_FAIL;
    }
    if (r != NP_OK) unlink(aside);
    unlink(source), unlink(object), unlink(log), rmdir(dir);
    return r;
}
