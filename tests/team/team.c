/* The pool and its barrier on their own, so that ThreadSanitizer can watch every access: a sum of numbers that
 * travel round the team, one place at each barrier. A thread that comes through a barrier too early, or is left
 * behind, gives another sum; a missing order of memory is a race. Teams are as large as the cores, larger, and one. */
#include "runtime/np_rt.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 9, ROUNDS = 300 };

typedef struct ring {
    uint64_t x[2][MOST];
    int n, failed;
} ring;

static void turn(void *env, const np_rt_team *team)
{
    ring *r = env;
    if (team->n != r->n || team->me < 0 || team->me >= r->n || (uintptr_t)team->own % 64) r->failed = 1;
    for (int i = 0; i < 100; i++) team->own[i] = (char)team->me; /* nobody else's */
    for (int i = 0; i < ROUNDS; i++) {
        r->x[(i + 1) % 2][team->me] = r->x[i % 2][(team->me + 1) % r->n] * 3 + 1;
        team->wait(team);
    }
    for (int i = 0; i < 100; i++)
        if (team->own[i] != (char)team->me) abort();
}

static int check(int n, int pin)
{
    ring r = {.n = n};
    uint64_t want[MOST], next[MOST];
    np_rt_pool *p = np_rt_pool_new(n, 100, pin);
    if (!p) return printf("no pool of %d\n", n), 1;
    for (int i = 0; i < n; i++) r.x[0][i] = want[i] = (uint64_t)i;
    for (int call = 0; call < 3; call++) {
        np_rt_pool_run(p, turn, &r);
        for (int i = 0; i < ROUNDS; i++) {
            for (int k = 0; k < n; k++) next[k] = want[(k + 1) % n] * 3 + 1;
            for (int k = 0; k < n; k++) want[k] = next[k];
        }
        struct timespec pause = {0, 3000000}; /* the others fall asleep */
        nanosleep(&pause, NULL);
    }
    np_rt_pool_free(p);
    for (int k = 0; k < n; k++)
        if (want[k] != r.x[ROUNDS % 2][k]) r.failed = 1;
    if (r.failed) printf("a team of %d is out of step\n", n);
    return r.failed;
}

int main(void)
{
    static const int sizes[] = {1, 2, 3, 7, MOST};
    int cores = np_rt_cores(), failed = cores < 1;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) failed |= check(sizes[i], (int)i % 2);
    if (np_rt_cores() != cores) failed = printf("the caller stays where it was pinned\n");
    np_rt_pool_free(NULL);
    failed |= np_rt_pool_new(0, 0, 0) != NULL || np_rt_pool_new(2, SIZE_MAX, 0) != NULL;
    if (!failed) printf("team: %d sizes\n", (int)(sizeof sizes / sizeof *sizes));
    return failed;
}
