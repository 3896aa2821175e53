/* A child process runs the checks and reports through shared memory; its last
 * words on stderr become the reason if it does not end well. */
#include "isolate.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 20 };

static void last_words(FILE *f, char *why, size_t n)
{
    rewind(f);
    size_t got = fread(why, 1, n - 1, f);
    why[got] = 0;
    why[strcspn(why, "\n")] = 0; /* what follows is the last good function */
}
void rn_isolate(const char *text, const char *until, rn_outcome *out)
{
    rn_report *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *err = tmpfile();
    int status = 0;
    fflush(stdout);
    pid_t child = r != MAP_FAILED && err ? fork() : -1;
    if (child == 0) {
        dup2(fileno(err), 2);
        alarm(SECONDS);
        rn_check(r, text, strlen(text), until);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("random");
        _exit(1);
    }
    *out = *r;
    if (status != 0) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            snprintf(out->kind, sizeof out->kind, "does not end");
        else if (WIFSIGNALED(status))
            snprintf(out->kind, sizeof out->kind, "signal %d", WTERMSIG(status));
        else
            snprintf(out->kind, sizeof out->kind, "status %d", WEXITSTATUS(status));
        last_words(err, out->why, sizeof out->why);
    }
    fclose(err);
    munmap(r, sizeof *r);
}
