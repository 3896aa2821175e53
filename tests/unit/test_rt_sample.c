/* The sampler: known answers of its generator, and how often it draws what,
 * against probabilities computed apart from it in long double. */
#include "suite.h"

#include "rt_fake.h"

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

/* A session whose next token is chosen from x[FAKE_V]. */
static np_session *with_logits(const float *x)
{
    np_session *s = fake_open(&fake_fixed, &fake_ids);
    ck_assert_ptr_null(np_feed(s, (const int32_t[]){1}, 1));
    memcpy(s->kept, x, FAKE_V * sizeof *x);
    s->last = s->kept;
    return s;
}

static void fill(float *x, float value)
{
    for (int i = 0; i < FAKE_V; i++) x[i] = value;
}

START_TEST(test_likeliest)
{
    float x[FAKE_V];
    np_sampler p;
    np_sampler_init(&p, 1);
    p.temp = 0;
    np_session *s = fake_open(&fake_fixed, &fake_ids);
    ck_assert_int_eq(np_sample(s, &p), -1);
    np_close(s);
    fill(x, -INFINITY);
    x[70] = x[20] = x[21] = 3.5f;
    s = with_logits(x);
    ck_assert_int_eq(np_sample(s, &p), 20);
    s->kept[0] = NAN;
    s->kept[299] = 4;
    ck_assert_int_eq(np_sample(s, &p), 299);
    s->kept[250] = INFINITY;
    ck_assert_int_eq(np_sample(s, &p), 250);
    fill(s->kept, -INFINITY);
    s->kept[0] = NAN;
    ck_assert_int_eq(np_sample(s, &p), 1);
    fill(s->kept, NAN);
    ck_assert_int_eq(np_sample(s, &p), -1);
    p.temp = 1;
    ck_assert_int_eq(np_sample(s, &p), -1);
    np_close(s);
}
END_TEST

/* One is kept: the likeliest, whatever the draw is. */
START_TEST(test_one_is_kept)
{
    float x[FAKE_V];
    for (int i = 0; i < FAKE_V; i++) x[i] = fake_logit(5, i) / 10;
    x[33] = x[34] = 3;
    np_session *s = with_logits(x);
    for (int way = 0; way < 6; way++) {
        np_sampler p = (np_sampler){.temp = 5, .top_p = 1, .repeat_penalty = 1, .rng = {1, 2, 3, 4}};
        if (way == 0) p.top_k = 1;
        if (way == 1) p.top_p = 0;
        if (way == 2) p.top_p = -1;
        if (way == 3) p.min_p = 1.5f;
        if (way == 4) p.temp = -1;
        if (way == 5) p.temp = NAN;
        for (int i = 0; i < 50; i++) ck_assert_int_eq(np_sample(s, &p), 33);
    }
    np_close(s);
}
END_TEST

/* splitmix64 from 0, xoshiro256** from {1, 2, 3, 4}: their authors' programs give these numbers. */
START_TEST(test_generator)
{
    static const uint64_t seeded[] = {0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu,
                                      0xf88bb8a8724c81ecu};
    static const uint64_t number[] = {11520,
                                      0,
                                      1509978240,
                                      1215971899390074240u,
                                      1216172134540287360u,
                                      607988272756665600u,
                                      16172922978634559625u,
                                      8476171486693032832u,
                                      10595114339597558777u,
                                      2904607092377533576u};
    static const np_rt_port out = {"logits", NP_RT_F32, 2, {-1, 256}};
    np_rt_model m = fake_fixed;
    np_sampler p;
    np_sampler_init(&p, 0);
    ck_assert_mem_eq(p.rng, seeded, sizeof seeded);
    m.out = &out;
    np_session *s = np_open_model(&m, &fake_ids, NULL);
    s->last = s->kept; /* all equal: a number's highest bits choose, the last token first */
    p = (np_sampler){.temp = 1, .top_p = 1, .repeat_penalty = 1, .rng = {1, 2, 3, 4}};
    for (size_t i = 0; i < LEN(number); i++) {
        if (number[i] >= (uint64_t)3 << 62) continue; /* drawn again, so that all are equally likely */
        ck_assert_int_eq(np_sample(s, &p), 255 - (int)(number[i] % ((uint64_t)1 << 62) >> 54));
    }
    np_close(s);
}
END_TEST

/* ---- the probabilities, apart from the sampler */
typedef struct weighed {
    long double p;
    int id;
} weighed;

static int by_weight(const void *a, const void *b)
{
    const weighed *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p ? 1 : -1) : x->id - y->id;
}

static void expected(const np_session *s, const np_sampler *o, long double *out)
{
    weighed w[FAKE_V];
    long double max = -INFINITY, sum = 0, upto = 0;
    int n = FAKE_V, kept = 0;
    for (int i = 0; i < FAKE_V; i++) {
        long double x = s->last[i];
        for (int64_t k = s->pos < 64 ? 0 : s->pos - 64; k < s->pos; k++) {
            if (s->recent[k % 64] != i) continue;
            x = (float)(x > 0 ? (float)x / o->repeat_penalty : (float)x * o->repeat_penalty);
            break;
        }
        w[i] = (weighed){x, i};
        if (x > max) max = x;
    }
    for (int i = 0; i < FAKE_V; i++) w[i].p = expl((w[i].p - max) / (long double)o->temp);
    qsort(w, FAKE_V, sizeof *w, by_weight);
    if (o->top_k > 0 && o->top_k < n) n = o->top_k;
    for (int i = 0; i < n; i++) sum += w[i].p;
    while (kept < n && (kept == 0 || upto < (long double)o->top_p * sum)) upto += w[kept++].p;
    sum = 0;
    for (int i = 0; i < FAKE_V; i++) {
        out[w[i].id] = i < kept && w[i].p >= (long double)o->min_p * w[0].p ? w[i].p : 0;
        sum += out[w[i].id];
    }
    for (int i = 0; i < FAKE_V; i++) out[i] /= sum;
}

/* Pearson's statistic stays below its mean plus five deviations; what has no probability never comes. */
static void expect_distribution(np_session *s, np_sampler *p)
{
    enum { DRAWS = 20000 };
    static int seen[FAKE_V];
    long double want[FAKE_V], rest = 0;
    double chi = 0;
    int classes = 0, rest_seen = 0;
    memset(seen, 0, sizeof seen);
    expected(s, p, want);
    for (int i = 0; i < DRAWS; i++) {
        int32_t t = np_sample(s, p);
        ck_assert_msg(t >= 0 && t < FAKE_V && want[t] > 0, "token %d has no probability", t);
        seen[t]++;
    }
    for (int i = 0; i < FAKE_V; i++) {
        double e = (double)want[i] * (double)DRAWS;
        if (e < 10) {
            rest += want[i];
            rest_seen += seen[i];
            continue;
        }
        chi += (seen[i] - e) * (seen[i] - e) / e;
        classes++;
    }
    double e = (double)rest * (double)DRAWS;
    if (e >= 10) chi += (rest_seen - e) * (rest_seen - e) / e, classes++;
    double free_ = classes - 1;
    ck_assert_msg(chi <= free_ + 5 * sqrt(2 * free_) + 1e-9, "chi^2 is %g with %g degrees of freedom", chi,
                  free_);
}

START_TEST(test_distribution)
{
    static const struct {
        float temp, top_p, min_p, penalty;
        int top_k;
    } row[] = {{1, 1, 0, 1, 0},    {0.8f, 0.95f, 0, 1, 0},  {0.5f, 1, 0, 1, 7},        {2, 0.5f, 0, 1, 40},
               {1, 1, 0.1f, 1, 0}, {3, 0.9f, 0.2f, 1, 100}, {1, 1, 0, 1.3f, 0},        {1, 0.9f, 0, 2, 10},
               {100, 1, 0, 1, 0},  {1, 1, 0, 0.7f, 0},      {0.01f, 1, 0, 1, 0},       {1, 1, 0, 1, 299},
               {1, 1, 0, 1, 300},  {1, 1, 0, 1, 1000},      {1, 0.9999f, 1e-6f, 1, 0}, {1, 2, -1, 1, -5}};
    int32_t token[100];
    for (int i = 0; i < 100; i++) token[i] = i < 30 ? 250 + i : i % 7 * 3;
    np_session *s = fake_open(&fake_fixed, &fake_ids);
    ck_assert_ptr_null(np_feed(s, token, 100));
    memcpy(s->kept, s->last, FAKE_V * sizeof *s->kept);
    for (int i = 0; i < FAKE_V; i++) s->kept[i] *= 0.5f;
    s->kept[5] = s->kept[6] = s->kept[7] = 3.75f; /* ties across the borders of top-k and top-p */
    s->kept[8] = -INFINITY;
    s->last = s->kept;
    for (size_t i = 0; i < LEN(row); i++) {
        np_sampler p;
        np_sampler_init(&p, 1000 + i);
        p.temp = row[i].temp;
        p.top_p = row[i].top_p;
        p.min_p = row[i].min_p;
        p.repeat_penalty = row[i].penalty;
        p.top_k = row[i].top_k;
        expect_distribution(s, &p);
    }
    np_close(s);
}
END_TEST

/* Fewer tokens than the ring holds, a token several times: it is penalised once. */
START_TEST(test_penalty_at_the_beginning)
{
    static const int32_t token[] = {4, 9, 4, 4};
    np_session *s = fake_open(&fake_fixed, &fake_ids);
    np_sampler p;
    np_sampler_init(&p, 3);
    p.repeat_penalty = 1.5f;
    ck_assert_ptr_null(np_feed(s, token, 4));
    fill(s->kept, -9);
    s->kept[0] = 3;
    s->kept[4] = 4;
    s->kept[9] = -1;
    s->last = s->kept;
    expect_distribution(s, &p);
    np_close(s);
}
END_TEST

START_TEST(test_infinite)
{
    float x[FAKE_V];
    fill(x, 1);
    x[10] = x[200] = INFINITY;
    np_session *s = with_logits(x);
    np_sampler p = {.temp = INFINITY, .top_p = 1, .repeat_penalty = 1, .rng = {1, 2, 3, 4}};
    int ten = 0;
    for (int i = 0; i < 100; i++) {
        p.temp = 1;
        int32_t t = np_sample(s, &p);
        ck_assert(t == 10 || t == 200);
        ten += t == 10;
    }
    ck_assert(ten > 20 && ten < 80);
    fill(s->kept, 0);
    s->kept[3] = -INFINITY;
    p.temp = INFINITY;
    for (int i = 0; i < 5000; i++) ck_assert_int_ne(np_sample(s, &p), 3);
    np_close(s);
}
END_TEST

/* The same seed gives the same text, another one another. */
START_TEST(test_reproducible)
{
    int32_t text[3][200];
    np_session *s = fake_open(&fake_fixed, &fake_ids);
    for (int k = 0; k < 3; k++) {
        np_sampler p;
        np_sampler_init(&p, k < 2 ? 5 : 6);
        np_reset(s);
        ck_assert_ptr_null(np_feed(s, (const int32_t[]){1}, 1));
        for (int i = 0; i < 200; i++) {
            text[k][i] = np_sample(s, &p);
            ck_assert_ptr_null(np_feed(s, &text[k][i], 1));
        }
    }
    ck_assert_mem_eq(text[0], text[1], sizeof text[0]);
    ck_assert(memcmp(text[0], text[2], sizeof text[0]) != 0);
    np_close(s);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_likeliest, test_one_is_kept, test_generator, test_distribution, test_penalty_at_the_beginning,
        test_infinite,  test_reproducible};
    return run_tests("rt_sample", NULL, NULL, tests, LEN(tests));
}
