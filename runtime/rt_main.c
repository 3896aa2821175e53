/* The main program of a compiled language model.
 *
 * A text is a list of tokens. The start token (where a vocabulary has one) is
 * read first, then the prompt in blocks, then tokens are chosen and read one by
 * one. -n counts the tokens of the text, without the start. The last token is
 * not read, as nothing follows it, unless --save must keep it.
 *
 * Exit status: 0 done, 1 something could not be done, 2 wrong usage, 130 ended
 * by Ctrl-C, after the timings. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "np_rt.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    RT_MORE = 256,
    RT_BENCH_RUNS = 5,
    RT_BENCH_TOKENS = 512,
    RT_FAILED = 1,
    RT_USAGE = 2,
    RT_INTERRUPTED = 130
};

typedef struct rt_program {
    const char *name;
    np_rt_args a;
    np_session *s;
    np_sampler sampler;
    np_rt_text text;
    np_rt_logits *logits; /* NULL: not wanted */
    int logits_err;
    int full;                       /* the context ended the text */
    int32_t before;                 /* last token of the text; the start, or -1 */
    double opened, prefill, decode; /* seconds */
    int64_t prefilled, decoded;     /* tokens */
    uint64_t seed;
} rt_program;

static volatile sig_atomic_t rt_stop;

static void rt_on_signal(int number)
{
    (void)number;
    rt_stop = 1;
}

/* The first Ctrl-C ends the text, a second one the program. */
static void rt_catch(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = rt_on_signal;
    act.sa_flags = (int)SA_RESETHAND | SA_RESTART;
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

static int rt_fail(const rt_program *r, const char *why)
{
    fprintf(stderr, "%s: %s\n", r->name, why);
    return RT_FAILED;
}

static int rt_fail_file(const rt_program *r, const char *what, const char *path, int err)
{
    fprintf(stderr, "%s: cannot %s %s: %s\n", r->name, what, path, strerror(err));
    return RT_FAILED;
}

/* ---- what it says of itself */
static void rt_put_sizes(FILE *f, const np_rt_model *m)
{
    fprintf(f, "weights %.2f MB, state %.2f MB, work %.2f MB", (double)m->weight_bytes / 1e6,
            (double)m->state_bytes / 1e6, (double)m->work_bytes / 1e6);
}

static void rt_put_stage(const char *stage, int64_t tokens, double seconds)
{
    fprintf(stderr, "; %s %" PRId64 " token%s, %.1f ms, %.0f tokens/s", stage, tokens, tokens == 1 ? "" : "s",
            seconds * 1e3, tokens > 0 && seconds > 0 ? (double)tokens / seconds : 0);
}

static void rt_put_timings(const rt_program *r)
{
    if (r->a.quiet) return;
    fprintf(stderr, "start %.1f ms", r->opened * 1e3);
    rt_put_stage("prefill", r->prefilled, r->prefill);
    if (!r->a.perplexity) rt_put_stage("decode", r->decoded, r->decode);
    fprintf(stderr, "; ");
    rt_put_sizes(stderr, r->s->model);
    if (!r->a.perplexity && r->a.temp > 0) fprintf(stderr, "; seed %" PRIu64, r->seed);
    fprintf(stderr, "\n");
}

static int rt_version(void)
{
    const np_rt_model *m = &np_rt_this;
    printf("%s, id %016" PRIx64 "\n%s; ", m->name, m->id, np_rt_vocab_this.about);
    if (m->max_N > 0) printf("%" PRId64 " positions; ", m->max_N);
    rt_put_sizes(stdout, m);
    printf("\n");
    return 0;
}

/* ---- reading and writing a text */
static int64_t rt_length(const rt_program *r)
{
    return np_position(r->s) - (np_start(r->s) >= 0);
}

/* Reads tokens, in blocks if there are many; NULL or a sentence. Ctrl-C ends it between two blocks, so that a
 * token which was shown is also read. */
static const char *rt_feed(rt_program *r, const int32_t *token, int64_t n)
{
    const char *why = NULL;
    while (n > 0 && !why) {
        int64_t T = n < np_block(r->s) ? n : np_block(r->s), rows;
        why = np_feed(r->s, token, T);
        const float *x = np_block_logits(r->s, &rows);
        if (!why && r->logits && !r->logits_err) r->logits_err = np_rt_logits_put(r->logits, x, rows);
        token += T;
        n = rt_stop ? 0 : n - T;
    }
    return why;
}

static void rt_show(rt_program *r, int32_t token)
{
    np_rt_text_put(&r->text, r->s, r->before, token);
    r->before = token;
}

/* The prompt's ids, in memory of the caller; NULL and *status. */
static int32_t *rt_prompt(const rt_program *r, const char *path, int begins, int64_t *count, int *status)
{
    size_t n = r->a.prompt ? strlen(r->a.prompt) : 0;
    int err = 0;
    char *file = path ? np_rt_text_read(path, &n, &err) : NULL;
    const char *text = file ? file : r->a.prompt ? r->a.prompt : "";
    void *work = path && !file ? NULL : malloc(np_encode_bytes(n) + 1);
    const int32_t *id = work ? np_encode(r->s, text, n, begins, work, count) : NULL;
    if (path && !file)
        *status = rt_fail_file(r, "read", path, err);
    else if (!work)
        *status = rt_fail(r, "not enough memory for this text");
    else if (!id && r->s->vocab->kind == NP_RT_IDS)
        *status = rt_fail(r, "this model has no tokenizer: its text is ids, as numbers between blanks");
    else if (!id)
        *status = rt_fail(r, "the model's tokenizer has no token for a part of this text");
    free(file);
    if (id) return work;
    free(work);
    return NULL;
}

/* Start token and prompt. */
static int rt_read_prompt(rt_program *r)
{
    int64_t n = 0;
    int status = 0;
    int32_t start = np_start(r->s);
    int fresh = np_position(r->s) == 0;
    int32_t *id = rt_prompt(r, r->a.file, rt_length(r) <= 0, &n, &status);
    if (!id) return status;
    rt_catch();
    if (fresh && start < 0 && n == 0) {
        fprintf(stderr, "%s: this model's texts begin with nothing, so it needs a prompt: -p, -f or --load\n",
                r->name);
        status = RT_USAGE;
    } else if (n + (fresh && start >= 0) > np_room(r->s)) {
        fprintf(stderr,
                "%s: the prompt has %" PRId64 " tokens; %" PRId64 " of the model's %" PRId64
                " positions are free\n",
                r->name, n, np_room(r->s) - (fresh && start >= 0), np_context(r->s));
        status = RT_FAILED;
    } else {
        double from = np_rt_seconds();
        int64_t position = np_position(r->s);
        const char *why = fresh && start >= 0 ? rt_feed(r, &start, 1) : NULL;
        r->before = fresh ? start : r->s->recent[(position - 1) % NP_RT_RECENT];
        for (int64_t i = 0; i < n && !why && !r->text.err; i++) rt_show(r, id[i]);
        if (!why && !r->text.err) why = rt_feed(r, id, n);
        r->prefill = np_rt_seconds() - from;
        r->prefilled = np_position(r->s) - position;
        if (why) status = rt_fail(r, why);
    }
    free(id);
    return status;
}

static int rt_write(rt_program *r)
{
    int64_t length = rt_length(r), from = np_position(r->s);
    int64_t end = r->a.n > 0 ? r->a.n : r->a.n == 0 ? INT64_MAX : length + RT_MORE;
    double began = np_rt_seconds();
    const char *why = NULL;
    while (length < end && !rt_stop && !r->text.err && !r->logits_err && !why) {
        int32_t token = np_sample(r->s, &r->sampler);
        if (token < 0) {
            why = "none of the model's logits is a number";
            break;
        }
        if (np_stops(r->s, token)) break;
        rt_show(r, token);
        if (++length == end && !r->a.save) break;
        if (np_room(r->s) == 0) {
            r->full = 1;
            break;
        }
        why = rt_feed(r, &token, 1);
    }
    r->decode = np_rt_seconds() - began;
    r->decoded = np_position(r->s) - from;
    return why ? rt_fail(r, why) : 0;
}

static int rt_generate_text(rt_program *r)
{
    int status = rt_read_prompt(r);
    if (!status && !rt_stop) status = rt_write(r);
    if (!status || r->text.any) np_rt_text_end(&r->text);
    if (!status && r->text.err) status = rt_fail_file(r, "write", "the text", r->text.err);
    if (!status && r->full)
        fprintf(stderr, "%s: the context of %" PRId64 " positions is full\n", r->name, np_context(r->s));
    return status;
}

static int rt_generate(rt_program *r)
{
    np_rt_logits logits;
    np_rt_file probe;
    int err = 0, status = 0;
    const char *why = r->a.load ? np_load(r->s, r->a.load) : NULL;
    if (why) return rt_fail(r, why);
    if (r->a.save) { /* better to hear now that it cannot be written */
        err = np_rt_file_open(&probe, r->a.save);
        if (err) return rt_fail_file(r, "write", r->a.save, err);
        np_rt_file_close(&probe, -1);
    }
    if (r->a.logits) {
        err = np_rt_logits_open(&logits, r->a.logits, np_vocabulary(r->s));
        if (err) return rt_fail_file(r, "write", r->a.logits, err);
        r->logits = &logits;
    }
    status = rt_generate_text(r);
    if (r->logits) {
        err = np_rt_logits_close(&logits, status ? -1 : r->logits_err);
        if (!status && err) status = rt_fail_file(r, "write", r->a.logits, err);
    }
    if (!status && r->a.save) {
        why = np_save(r->s, r->a.save);
        if (why) status = rt_fail(r, why);
    }
    if (!status) rt_put_timings(r);
    return !status && rt_stop ? RT_INTERRUPTED : status;
}

/* ---- the other things it does */
static int rt_perplexity(rt_program *r)
{
    int64_t n;
    int status = 0;
    np_score score;
    int32_t *id = rt_prompt(r, r->a.perplexity, 1, &n, &status);
    if (!id) return status;
    double from = np_rt_seconds();
    const char *why = np_perplexity(r->s, id, n, &score);
    r->prefill = np_rt_seconds() - from;
    r->prefilled = n;
    free(id);
    if (why) return rt_fail(r, why);
    if (score.tokens == 0) return rt_fail(r, "the text is too short: there is no token to predict");
    printf("perplexity %.6g per token", exp2(score.bits / (double)score.tokens));
    if (score.bytes > 0) printf(", %.6g bits per byte", score.bits / (double)score.bytes);
    printf("; %" PRId64 " tokens, %" PRId64 " bytes, %" PRId64 " window%s\n", score.tokens, score.bytes,
           score.windows, score.windows == 1 ? "" : "s");
    if (fflush(stdout) != 0) return rt_fail(r, "cannot write the result");
    rt_put_timings(r);
    return 0;
}

static int rt_by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The same number of tokens read at once, and written one by one from the beginning. */
static int rt_bench(rt_program *r)
{
    int32_t token[RT_BENCH_TOKENS];
    double prefill[RT_BENCH_RUNS], decode[RT_BENCH_RUNS];
    int64_t context = np_context(r->s), n = r->a.n > 0 ? r->a.n : RT_BENCH_TOKENS;
    if (n > RT_BENCH_TOKENS) n = RT_BENCH_TOKENS;
    if (context > 0 && n > context) n = context;
    for (int64_t i = 0; i < n; i++) token[i] = (int32_t)((i * 7 + 1) % np_vocabulary(r->s));
    for (int k = 0; k < RT_BENCH_RUNS; k++) {
        np_reset(r->s);
        double from = np_rt_seconds();
        const char *why = np_feed(r->s, token, n);
        prefill[k] = np_rt_seconds() - from;
        np_reset(r->s);
        from = np_rt_seconds();
        for (int64_t i = 0; i < n && !why; i++) {
            int32_t next = i ? np_sample(r->s, &r->sampler) : token[0];
            why = next < 0 ? "none of the model's logits is a number" : np_feed(r->s, &next, 1);
        }
        decode[k] = np_rt_seconds() - from;
        if (why) return rt_fail(r, why);
    }
    qsort(prefill, RT_BENCH_RUNS, sizeof *prefill, rt_by_size);
    qsort(decode, RT_BENCH_RUNS, sizeof *decode, rt_by_size);
    printf("%" PRId64 " tokens: prefill %.1f tokens/s, decode %.1f tokens/s; median of %d\n", n,
           (double)n / prefill[RT_BENCH_RUNS / 2], (double)n / decode[RT_BENCH_RUNS / 2], RT_BENCH_RUNS);
    return 0;
}

static void rt_prepare(rt_program *r)
{
    r->seed = r->a.seed >= 0 ? (uint64_t)r->a.seed
              : r->a.bench   ? 0
                             : (uint64_t)(np_rt_seconds() * 1e6) % 1000000000;
    np_sampler_init(&r->sampler, r->seed);
    r->sampler.temp = (float)r->a.temp;
    r->sampler.top_k = (int)r->a.top_k;
    r->sampler.top_p = (float)r->a.top_p;
    r->sampler.min_p = (float)r->a.min_p;
    r->sampler.repeat_penalty = (float)r->a.repeat_penalty;
    r->text.ids = r->a.ids || r->s->vocab->kind == NP_RT_IDS;
    r->before = -1;
    if (r->a.threads > 1)
        fprintf(stderr, "%s: this program runs on one thread; --threads %" PRId64 " changes nothing\n",
                r->name, r->a.threads);
}

int main(int argc, char **argv)
{
    double began = np_rt_seconds();
    rt_program r = {.name = argc > 0 ? argv[0] : "program"};
    const char *why;
    int status = np_rt_args_read(&r.a, argc, argv);
    if (status) return status;
    if (r.a.help) return np_rt_args_help(r.name), 0;
    if (r.a.version) return rt_version();
    r.s = np_open(&why);
    if (!r.s) return rt_fail(&r, why);
    rt_prepare(&r);
    r.opened = np_rt_seconds() - began;
    status = r.a.perplexity ? rt_perplexity(&r) : r.a.bench ? rt_bench(&r) : rt_generate(&r);
    np_close(r.s);
    return status;
}
