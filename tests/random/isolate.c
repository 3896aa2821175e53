/* A child process runs the checks and reports through shared memory; its last
 * words on stderr become the reason if it does not end well. */
#include "isolate.h"
#include "native.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 20, SECONDS_NATIVE = 300 };
typedef struct shared { /* with the parent */
    int at;
    rn_report r[RN_BATCH];
    char derived[RN_LONG];
} shared;

static void last_words(FILE *f, char *why, size_t n)
{
    rewind(f);
    size_t got = fread(why, 1, n - 1, f);
    why[got] = 0;
    why[strcspn(why, "\n")] = 0; /* what follows is the last good function */
}
static void describe_end(int status, FILE *err, rn_report *r)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        snprintf(r->kind, sizeof r->kind, "does not end");
    else if (WIFSIGNALED(status))
        snprintf(r->kind, sizeof r->kind, "signal %d", WTERMSIG(status));
    else
        snprintf(r->kind, sizeof r->kind, "status %d", WEXITSTATUS(status));
    last_words(err, r->why, sizeof r->why);
}
/* The child's own part; never returns. */
static void child(shared *s, const char *const *text, int n, const char *until, bool native)
{
    alarm(native ? SECONDS_NATIVE : SECONDS);
    if (native)
        rn_native(s->r, text, n, &s->at);
    else
        rn_check(s->r, text[0], strlen(text[0]), until, s->derived);
    exit(0); /* with its leaks and counters, where the build looks for them */
}
/* The status of a process that examined n texts; what it found in s, what it said in err. */
static int examine(shared *s, FILE *err, const char *const *text, int n, const char *until, bool native)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fileno(err), 2);
        child(s, text, n, until, native);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        perror("random");
        exit(1);
    }
    return status;
}
static void run(const char *const *text, int n, const char *until, bool native, rn_outcome *out,
                np_text *derived)
{
    shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *err = tmpfile();
    if (s == MAP_FAILED || !err) {
        perror("random");
        exit(1);
    }
    int status = examine(s, err, text, n, until, native);
    bool together = native && (status != 0 || strcmp(s->r[0].kind, RN_NOT_COMPILED) == 0);
    for (int i = 0; i < n; i++) out[i] = s->r[i];
    if (status != 0) describe_end(status, err, &out[0]);
    if (derived && status == 0 && *s->derived) np_text_add(derived, "%s", s->derived);
    fclose(err);
    munmap(s, sizeof *s);
    for (int i = 0; i < n && n > 1 && together; i++) run(&text[i], 1, until, native, &out[i], NULL);
}
void rn_isolate(const char *text, const char *until, rn_outcome *out, np_text *derived)
{
    run(&text, 1, until, false, out, derived);
}
void rn_isolate_native(const char *const *text, int n, rn_outcome *out)
{
    run(text, n, NULL, true, out, NULL);
}
