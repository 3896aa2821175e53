/* The runtime takes memory when a session is opened and never after: the
 * linker puts functions of this file between it and the allocator. */
#include "suite.h"

#include "rt_fake.h"

#include <unistd.h>

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

static int allowed = -1; /* allocations that still succeed; -1: all */
static int asked;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static int allow(void)
{
    asked++;
    if (allowed > 0)
        allowed--;
    else if (allowed == 0)
        return 0;
    return 1;
}

void *__wrap_malloc(size_t n)
{
    return allow() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return allow() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
    return allow() ? __real_realloc(p, n) : NULL;
}

START_TEST(test_open_fails)
{
    for (int n = 0;; n++) {
        const char *why = NULL;
        allowed = n;
        np_session *s = np_open_model(&fake_growing, &fake_ids, &why);
        allowed = -1;
        if (s) {
            ck_assert_int_eq(n, 2); /* the session, the heap */
            np_close(s);
            break;
        }
        ck_assert_str_eq(why, "not enough memory for this model");
    }
}
END_TEST

START_TEST(test_nothing_after_open)
{
    char file[] = "/tmp/neap-test-XXXXXX", text[] = "the abcd the", work[1000];
    int32_t token[20] = {4, 5};
    np_score score;
    np_sampler p;
    int64_t n;
    int len;
    int fd = mkstemp(file);
    np_session *s = fake_open(&fake_growing, &fake_pieces);
    void *kept = malloc(np_snapshot_bytes(s));
    asked = 0;
    allowed = 0;
    np_sampler_init(&p, 9);
    const char *why = np_feed(s, token, 20);
    for (int i = 0; i < 10; i++) {
        p.top_k = i * 5;
        token[0] = np_sample(s, &p);
        why = why ? why : np_feed(s, token, 1);
        np_decode(s, -1, token[0], &len);
    }
    np_encode(s, text, strlen(text), 1, work, &n);
    np_snapshot(s, kept);
    np_rollback(s, kept);
    why = why ? why : np_save(s, file);
    why = why ? why : np_load(s, file);
    why = why ? why : np_perplexity(s, token, 20, &score);
    np_reset(s);
    int calls = asked;
    allowed = -1;
    ck_assert_msg(!why, "%s", why);
    ck_assert_int_eq(calls, 0);
    np_close(s);
    free(kept);
    close(fd);
    remove(file);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_open_fails, test_nothing_after_open};
    fake_fill_pieces();
    return run_tests("rt_memory", NULL, NULL, tests, LEN(tests));
}
