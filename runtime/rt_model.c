/* A model with one stream of text in it: opening, reading tokens, logits.
 *
 * A session is one piece of memory, taken when it is opened: the session
 * itself, then the state, the work memory and all buffers, each aligned to 64.
 * Weights that a model unpacks lie in a heap of their own, which all sessions
 * of that model share; the last one that closes frees it. So two threads may
 * use two sessions, but must not open or close them at the same time.
 *
 * Tokens are read in blocks as large as the model's prefill takes; a block of
 * one is a step. */
#include "np_rt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RT_ALIGN = 64 };

typedef struct rt_heap {
    struct rt_heap *next;
    const np_rt_model *model;
    int sessions;
} rt_heap;
static rt_heap *rt_heaps;

/* Where the parts of a session lie; without a base it only counts. */
typedef struct rt_room {
    char *base;
    size_t used; /* SIZE_MAX: more than there can be */
} rt_room;

static void *rt_take(rt_room *r, size_t bytes)
{
    size_t at = r->used;
    if (at > SIZE_MAX - RT_ALIGN || bytes > SIZE_MAX - RT_ALIGN - at) {
        r->used = SIZE_MAX;
        return NULL;
    }
    r->used = at + (bytes + RT_ALIGN - 1) / RT_ALIGN * RT_ALIGN;
    return r->base ? r->base + at : NULL;
}

static char *rt_aligned(void *p)
{
    char *c = p;
    return c + (RT_ALIGN - (uintptr_t)c % RT_ALIGN) % RT_ALIGN;
}

/* Saturates at SIZE_MAX. */
static size_t rt_times(size_t a, int64_t b)
{
    if (b <= 0) return b < 0 ? SIZE_MAX : 0;
    return a > SIZE_MAX / (uint64_t)b ? SIZE_MAX : a * (size_t)b;
}

/* Bytes of a port's buffer for blocks of T, at its largest; SIZE_MAX: no such size. */
static size_t rt_port_bytes(const np_rt_model *m, const np_rt_port *p, int64_t T)
{
    static const unsigned char element[] = {1, 1, 1, 4, 8, 2, 2, 4, 8}; /* of ir/dtypes.def */
    size_t bytes = p->dtype >= 0 && p->dtype < (int)sizeof element ? element[p->dtype] : SIZE_MAX;
    for (int i = 0; i < p->rank; i++) {
        int64_t dim = p->dim[i];
        if (dim == -1) dim = T;
        if (dim == -2 || dim == -3) dim = m->max_N > 0 ? m->max_N : -1;
        bytes = rt_times(bytes, dim);
    }
    return bytes;
}

/* Is it [T], or [T,last] if that is wanted, maybe after a batch of one? */
static int rt_over_time(const np_rt_port *p, int more)
{
    int lead = p->rank == more + 2 && p->dim[0] == 1;
    return p->rank == lead + 1 + more && p->dim[lead] == -1;
}

static const np_rt_port *rt_find_logits(const np_rt_model *m, int *at)
{
    for (int i = 0; i < m->nouts; i++) {
        const np_rt_port *p = &m->out[i];
        if (strcmp(p->name, "logits") != 0) continue;
        *at = i;
        if (p->dtype != NP_RT_F32 || !rt_over_time(p, 1)) return NULL;
        return p->dim[p->rank - 1] > 0 && p->dim[p->rank - 1] < INT32_MAX ? p : NULL;
    }
    return NULL;
}

/* Why the model cannot be a session's; NULL if it can. */
static const char *rt_refusal(const np_rt_model *m, int *logits)
{
    const np_rt_port *in = m->input;
    if (m->ninputs != 1 || strcmp(in->name, "tokens") != 0 || !rt_over_time(in, 0) ||
        (in->dtype != NP_RT_I32 && in->dtype != NP_RT_I64))
        return "this model does not read text: its only input must be tokens, i32[T] or i64[T]";
    if (!rt_find_logits(m, logits))
        return "this model does not predict text: it has no output logits f32[T,V]";
    if (!m->step)
        return "this model has no step: what it says of a token depends on later ones, so it cannot generate";
    return NULL;
}

static void rt_place(np_session *s, rt_room *r, int logits)
{
    const np_rt_model *m = s->model;
    size_t V = (size_t)s->V;
    s->state = rt_take(r, m->state_bytes);
    s->work = rt_take(r, m->work_bytes);
    s->in[0] = rt_take(r, rt_port_bytes(m, m->input, s->block));
    s->out = rt_take(r, rt_times(sizeof *s->out, m->nouts));
    for (int i = 0; i < m->nouts; i++) {
        void *p = rt_take(r, rt_port_bytes(m, &m->out[i], s->block));
        if (s->out) s->out[i] = p;
    }
    s->logits = s->out ? s->out[logits] : NULL;
    s->kept = rt_take(r, rt_times(sizeof *s->kept, s->V));
    s->scores = rt_take(r, V * sizeof *s->scores);
    s->weights = rt_take(r, rt_times(sizeof *s->weights, s->V));
    s->order = rt_take(r, V * sizeof *s->order);
}

static int rt_unpack(const np_rt_model *m)
{
    if (!m->setup) return 1;
    for (rt_heap *h = rt_heaps; h; h = h->next) {
        if (h->model != m) continue;
        h->sessions++;
        return 1;
    }
    if (m->setup_bytes > SIZE_MAX - sizeof(rt_heap) - RT_ALIGN) return 0;
    rt_heap *h = malloc(sizeof *h + RT_ALIGN + m->setup_bytes);
    if (!h) return 0;
    h->next = rt_heaps;
    h->model = m;
    h->sessions = 1;
    rt_heaps = h;
    m->setup(rt_aligned(h + 1));
    return 1;
}

static void rt_release(const np_rt_model *m)
{
    for (rt_heap **p = &rt_heaps; *p; p = &(*p)->next) {
        rt_heap *h = *p;
        if (h->model != m) continue;
        if (--h->sessions == 0) {
            *p = h->next;
            free(h);
        }
        return;
    }
}

/* The state must be zero. */
static void rt_begin(np_session *s)
{
    s->pos = s->rows = 0;
    s->last = NULL;
    if (s->model->init) s->model->init(s->in, s->state, s->work);
}

np_session *np_open_model(const np_rt_model *m, const np_rt_vocab *v, const char **why)
{
    int logits = 0;
    const char *no = rt_refusal(m, &logits);
    np_session count = {0}, *s = NULL;
    rt_room room = {0};
    if (!no) {
        count.model = m;
        count.vocab = v;
        count.block = m->prefill && m->max_T > 1 ? m->max_T : 1;
        count.V = m->out[logits].dim[m->out[logits].rank - 1];
        rt_place(&count, &room, logits);
        if (room.used <= SIZE_MAX - sizeof *s - RT_ALIGN) s = calloc(1, sizeof *s + RT_ALIGN + room.used);
        if (!s || !rt_unpack(m)) {
            free(s);
            s = NULL;
            no = "not enough memory for this model";
        }
    }
    if (s) {
        *s = count;
        room = (rt_room){rt_aligned(s + 1), 0};
        rt_place(s, &room, logits);
        for (int i = 0; i < 256; i++) s->byte[i] = (char)i;
        rt_begin(s);
    }
    if (why) *why = no;
    return s;
}

np_session *np_open(const char **why)
{
    return np_open_model(&np_rt_this, &np_rt_vocab_this, why);
}

void np_close(np_session *s)
{
    if (!s) return;
    rt_release(s->model);
    free(s);
}

void np_reset(np_session *s)
{
    memset(s->state, 0,
           s->model->state_bytes); /* nothing of the old text stays, or it would be saved with the new */
    rt_begin(s);
}

static void rt_run(np_session *s, const int32_t *token, int64_t T)
{
    const np_rt_model *m = s->model;
    int32_t *i32 = s->in[0];
    int64_t *i64 = s->in[0];
    for (int64_t i = 0; i < T; i++) {
        if (m->input->dtype == NP_RT_I32)
            i32[i] = token[i];
        else
            i64[i] = token[i];
        s->recent[(s->pos + i) % NP_RT_RECENT] = token[i];
    }
    (T == 1 ? m->step : m->prefill)(T, s->pos, s->in, s->state, s->out, s->work);
    s->pos += T;
    s->rows = T;
    s->last = s->logits + (T - 1) * s->V;
}

const char *np_feed(np_session *s, const int32_t *token, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (token[i] >= 0 && token[i] < s->V) continue;
        snprintf(s->why, sizeof s->why, "there is no token %" PRId32 ": the model has %" PRId64, token[i],
                 s->V);
        return s->why;
    }
    if (n > np_room(s)) {
        snprintf(s->why, sizeof s->why,
                 "%" PRId64 " tokens do not fit: %" PRId64 " of the model's %" PRId64 " positions are taken",
                 n, s->pos, np_context(s));
        return s->why;
    }
    while (n > 0) {
        int64_t T = n < s->block ? n : s->block;
        rt_run(s, token, T);
        token += T;
        n -= T;
    }
    return NULL;
}

const float *np_logits(const np_session *s)
{
    return s->last;
}

const float *np_block_logits(const np_session *s, int64_t *rows)
{
    *rows = s->rows;
    return s->rows ? s->logits : NULL;
}

int64_t np_block(const np_session *s)
{
    return s->block;
}

int64_t np_vocabulary(const np_session *s)
{
    return s->V;
}

int64_t np_position(const np_session *s)
{
    return s->pos;
}

int64_t np_context(const np_session *s)
{
    return s->model->max_N;
}

int64_t np_room(const np_session *s)
{
    return s->model->max_N > 0 ? s->model->max_N - s->pos : INT64_MAX;
}
