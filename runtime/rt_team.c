/* Threads that run one job together, and the barrier at which they wait for one another.
 *
 * A pool is made once; its threads live until it is freed. Between two jobs they wait at the same barrier as inside
 * of a job: whoever comes spins for a while, as the others are nearly there most of the time, and then sleeps, so a
 * program that does nothing takes no time of a core. A team with more threads than there are cores sleeps at once:
 * who spins there keeps another from coming.
 *
 * The barrier counts arrivals; the last to come sets the count back and moves the turn on, which is what the others
 * look at. A sleeper says so before it looks for the last time, and who moves the turn on looks for sleepers after
 * that, so none is forgotten. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "np_rt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined __linux__
#include <sys/syscall.h>
#endif
#if defined SYS_futex && !defined NP_RT_NO_FUTEX
#include <linux/futex.h>
#define RT_FUTEX 1
#else
#define RT_FUTEX 0
#endif

enum { RT_LINE = 64, RT_SPINS = 20000 /* some 0.3 to 1 ms */, RT_CORES_MAX = 4096 };

typedef struct rt_member { /* what one thread is given, and how it finds its pool */
    np_rt_team team;       /* first: a kernel's pointer to it is one to the member */
    np_rt_pool *pool;
    pthread_t id;
    int core; /* where it stays; -1: anywhere */
} rt_member;

struct np_rt_pool {
    unsigned n;
    int started, spins;
    void (*job)(void *env, const np_rt_team *team); /* NULL: go home */
    void *env;
    char *memory, *own;
    char before[RT_LINE];
    unsigned arrived;
    char between[RT_LINE];
    unsigned turn; /* what waits looks at this alone */
    char after[RT_LINE];
    unsigned asleep;
    pthread_mutex_t lock; /* where there is no futex */
    pthread_cond_t moved;
    long home_bytes; /* > 0: the caller was pinned, and goes back to these cores */
    unsigned char home[RT_CORES_MAX / 8];
    rt_member member[];
};

/* ---- cores */
#if defined SYS_sched_getaffinity && defined SYS_sched_setaffinity
static long rt_cores_now(unsigned char *mask)
{
    return syscall(SYS_sched_getaffinity, 0, RT_CORES_MAX / 8, mask);
}

/* Where that is forbidden, the thread goes where it may. */
static void rt_stay_among(const unsigned char *mask, size_t bytes)
{
    syscall(SYS_sched_setaffinity, 0, bytes, mask);
}

static int rt_core_list(int *core, int most)
{
    unsigned char mask[RT_CORES_MAX / 8];
    long bytes = rt_cores_now(mask);
    int n = 0;
    for (int i = 0; i < bytes * 8; i++) {
        if (!(mask[i / 8] >> i % 8 & 1)) continue;
        if (core && n < most) core[n] = i;
        n++;
    }
    return n;
}
#else
static long rt_cores_now(unsigned char *mask)
{
    (void)mask;
    return 0;
}

static void rt_stay_among(const unsigned char *mask, size_t bytes)
{
    (void)mask, (void)bytes;
}

static int rt_core_list(int *core, int most)
{
    (void)core, (void)most;
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}
#endif

static void rt_stay(int core)
{
    unsigned char mask[RT_CORES_MAX / 8];
    memset(mask, 0, sizeof mask);
    mask[core / 8] = (unsigned char)(1 << core % 8);
    rt_stay_among(mask, sizeof mask);
}

int np_rt_cores(void)
{
    int n = rt_core_list(NULL, 0);
    return n > 0 ? n : 1;
}

/* ---- the barrier */
static void rt_relax(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb");
#endif
}

#if RT_FUTEX
static void rt_sleep(np_rt_pool *p, unsigned turn)
{
    __atomic_add_fetch(&p->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&p->turn, __ATOMIC_SEQ_CST) == turn)
        syscall(SYS_futex, &p->turn, FUTEX_WAIT_PRIVATE, turn, NULL, NULL, 0);
    __atomic_sub_fetch(&p->asleep, 1, __ATOMIC_SEQ_CST);
}

static void rt_wake(np_rt_pool *p)
{
    if (__atomic_load_n(&p->asleep, __ATOMIC_SEQ_CST))
        syscall(SYS_futex, &p->turn, FUTEX_WAKE_PRIVATE, p->n, NULL, NULL, 0);
}
#else
static void rt_sleep(np_rt_pool *p, unsigned turn)
{
    pthread_mutex_lock(&p->lock);
    __atomic_add_fetch(&p->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&p->turn, __ATOMIC_SEQ_CST) == turn) pthread_cond_wait(&p->moved, &p->lock);
    __atomic_sub_fetch(&p->asleep, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&p->lock);
}

static void rt_wake(np_rt_pool *p)
{
    if (!__atomic_load_n(&p->asleep, __ATOMIC_SEQ_CST)) return;
    pthread_mutex_lock(&p->lock);
    pthread_cond_broadcast(&p->moved);
    pthread_mutex_unlock(&p->lock);
}
#endif

static void rt_wait(const np_rt_team *team)
{
    np_rt_pool *p = ((const rt_member *)(const void *)team)->pool;
    unsigned turn =
        __atomic_load_n(&p->turn, __ATOMIC_RELAXED); /* it cannot move before this thread has come */
    if (__atomic_add_fetch(&p->arrived, 1, __ATOMIC_ACQ_REL) == __atomic_load_n(&p->n, __ATOMIC_RELAXED)) {
        __atomic_store_n(&p->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&p->turn, turn + 1, __ATOMIC_SEQ_CST);
        rt_wake(p);
        return;
    }
    for (int i = 0; i < p->spins; i++) {
        if (__atomic_load_n(&p->turn, __ATOMIC_ACQUIRE) != turn) return;
        rt_relax();
    }
    rt_sleep(p, turn);
}

/* ---- the pool */
static void *rt_worker(void *arg)
{
    rt_member *m = arg;
    np_rt_pool *p = m->pool;
    if (m->core >= 0) rt_stay(m->core);
    for (;;) {
        rt_wait(&m->team); /* for a job */
        if (!p->job) return NULL;
        p->job(p->env, &m->team);
        rt_wait(&m->team); /* until it is done */
    }
}

void np_rt_pool_run(np_rt_pool *p, void (*job)(void *env, const np_rt_team *team), void *env)
{
    p->job = job;
    p->env = env;
    rt_wait(&p->member[0].team);
    job(env, &p->member[0].team);
    rt_wait(&p->member[0].team);
}

void np_rt_pool_free(np_rt_pool *p)
{
    if (!p) return;
    p->job = NULL;
    rt_wait(&p->member[0].team);
    for (int i = 1; i < p->started; i++) pthread_join(p->member[i].id, NULL);
    if (p->home_bytes > 0) rt_stay_among(p->home, (size_t)p->home_bytes);
    pthread_cond_destroy(&p->moved);
    pthread_mutex_destroy(&p->lock);
    free(p->memory);
    free(p);
}

np_rt_pool *np_rt_pool_new(int n, size_t own_bytes, int pin)
{
    size_t each = (own_bytes + 2 * RT_LINE - 1) / RT_LINE * RT_LINE; /* no line of two threads */
    if (n < 1 || each < own_bytes || each > (SIZE_MAX - RT_LINE) / (size_t)n) return NULL;
    np_rt_pool *p = calloc(1, sizeof *p + (size_t)n * sizeof *p->member);
    if (!p) return NULL;
    int cores = np_rt_cores(), core[RT_CORES_MAX] = {0};
    rt_core_list(core, RT_CORES_MAX);
    p->n = (unsigned)n;
    p->spins = n <= cores ? RT_SPINS : 0;
    p->memory = malloc(each * (size_t)n + RT_LINE);
    p->own = p->memory ? p->memory + (RT_LINE - (uintptr_t)p->memory % RT_LINE) % RT_LINE : NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->moved, NULL);
    p->started = 1;
    for (int i = 0; i < n; i++) {
        char *own = p->own ? p->own + each * (size_t)i : NULL;
        p->member[i] = (rt_member){{i, n, own, rt_wait}, p, pthread_self(), pin ? core[i % cores] : -1};
    }
    while (p->memory && p->started < n) {
        rt_member *m = &p->member[p->started];
        if (pthread_create(&m->id, NULL, rt_worker, m) != 0) break;
        p->started++;
    }
    if (!p->memory || p->started < n) { /* those that were started wait for each other only, and go home */
        __atomic_store_n(&p->n, (unsigned)p->started, __ATOMIC_RELAXED);
        np_rt_pool_free(p);
        return NULL;
    }
    if (pin) {
        p->home_bytes = rt_cores_now(p->home);
        rt_stay(p->member[0].core);
    }
    return p;
}
