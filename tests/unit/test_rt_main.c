/* The main program, run as a user runs it. What it must print follows from the
 * fake models: their next token is computed here, apart from the runtime. */
#include "suite.h"

#include "rt_fake.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const np_rt_model np_rt_this = {.name = "none"};
const np_rt_vocab np_rt_vocab_this = {.kind = NP_RT_IDS};

#define BYTES PROGRAMS "/rt_program_1"
#define PIECES PROGRAMS "/rt_program_2"
#define IDS PROGRAMS "/rt_program_3"
#define NO_STEP PROGRAMS "/rt_program_4"
#define NO_NUMBERS PROGRAMS "/rt_program_5"

static char dir[256];
static char out[1 << 16], err[1 << 16]; /* of the last program */
static size_t outs;

static void make_dir(void)
{
    new_folder(dir, sizeof dir);
    ck_assert_int_eq(chdir(dir), 0);
}

/* Only what the tests made may lie there: no file that was put aside. */
static void remove_dir(void)
{
    static const char *const names[] = {"out", "err", "state", "other", "logits", "text"};
    for (size_t i = 0; i < LEN(names); i++) remove(names[i]);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_msg(rmdir(dir) == 0, "something was left in %s", dir);
}

/* A shell line; its exit status. */
static int run(const char *format, ...)
{
    char line[2000], all[2100];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    snprintf(all, sizeof all, "{ %s ; } >out 2>err </dev/null", line);
    int status = system(all);
    outs = get_file("out", out, sizeof out);
    get_file("err", err, sizeof err);
    ck_assert_msg(WIFEXITED(status), "%s: %d, %s", line, status, err);
    return WEXITSTATUS(status);
}

static void expect_error(int status, int got, const char *text)
{
    ck_assert_msg(got == status, "status %d: %s", got, err);
    ck_assert_msg(strstr(err, text) != NULL, "wanted '%s', got '%s'", text, err);
}

/* ---- what the models say */
/* Goes on greedily from token[n]; the length of all, at most `end`, or shorter if a stop token comes. */
static int go_on(const np_rt_model *m, int32_t *token, int n, int end, int stops)
{
    float x[FAKE_V];
    for (; n < end; n++) {
        int best = 0;
        fake_expect(m, token, n, x);
        for (int i = 1; i < FAKE_V; i++)
            if (x[i] > x[best]) best = i;
        if (stops && (best == 1 || best == 2)) return n;
        token[n] = best;
    }
    return n;
}

/* token[from..n) as the byte model shows them, and a newline. */
static void expect_bytes(const int32_t *token, int from, int n)
{
    char want[5000];
    size_t k = 0;
    for (int i = from; i < n; i++)
        if (token[i] < 256) want[k++] = token[i] ? (char)token[i] : '\n';
    want[k++] = '\n';
    ck_assert_uint_eq(outs, k);
    ck_assert_mem_eq(out, want, k);
}

static void expect_ids(const int32_t *token, int from, int n)
{
    char want[20000] = "";
    size_t k = 0;
    for (int i = from; i < n; i++)
        k += (size_t)snprintf(want + k, sizeof want - k, i > from ? " %d" : "%d", token[i]);
    snprintf(want + k, sizeof want - k, "\n");
    ck_assert_str_eq(out, want);
}

START_TEST(test_greedy_bytes)
{
    int32_t token[700] = {0};
    for (int n = 1; n <= 601; n = n < 4 ? n + 1 : n * 5) {
        go_on(&fake_fixed, token, 1, n + 1, 0);
        ck_assert_int_eq(run(BYTES " --temp 0 -n %d", n), 0);
        expect_bytes(token, 1, n + 1);
        ck_assert_int_eq(run(BYTES " --temp 0 -n %d --ids", n), 0);
        expect_ids(token, 1, n + 1);
    }
    go_on(&fake_fixed, token, 1, 257, 0);
    ck_assert_int_eq(run(BYTES " --temp=0"), 0);
    expect_bytes(token, 1, 257);
}
END_TEST

/* The prompt is shown, too, and counts; longer prompts are read in blocks. */
START_TEST(test_prompt)
{
    int32_t token[400] = {0};
    char text[200];
    for (int n = 0; n <= 100; n = n * 3 + 1) {
        memset(text, 0, sizeof text);
        for (int i = 0; i < n; i++) text[i] = (char)(token[i + 1] = 'a' + i * i % 26);
        go_on(&fake_fixed, token, n + 1, 121, 0);
        ck_assert_int_eq(run(BYTES " --temp 0 -n 120 -p '%s'", text), 0);
        expect_bytes(token, 1, 121);
        put_file("text", text, (size_t)n);
        ck_assert_int_eq(run(BYTES " --temp 0 -n 120 -f text"), 0);
        expect_bytes(token, 1, 121);
        ck_assert_int_eq(run("cat text | " BYTES " --temp 0 -n 120 -f -"), 0);
        expect_bytes(token, 1, 121);
        ck_assert_int_eq(run(BYTES " --temp 0 -p '%s'", text), 0);
        go_on(&fake_fixed, token, n + 1, n + 257, 0);
        expect_bytes(token, 1, n + 257);
        if (n > 5) {
            ck_assert_int_eq(run(BYTES " --temp 0 -n 5 -p '%s'", text), 0);
            expect_bytes(token, 1, n + 1);
        }
    }
}
END_TEST

START_TEST(test_pieces)
{
    static const int32_t the = FAKE_TEXT_0 + 23;
    int32_t token[60] = {1, the};
    int n = go_on(&fake_growing, token, 2, 12, 1);
    ck_assert_int_eq(run(PIECES " --temp 0 -n 11 -p the --ids"), 0);
    expect_ids(token, 1, n);
    ck_assert_int_eq(run(PIECES " --temp 0 -n 11 -p the"), 0);
    ck_assert_mem_eq(out, "the", 3); /* without the space that encoding added */
    ck_assert_int_eq(out[outs - 1], '\n');
}
END_TEST

/* From some prompt on a stop token comes: it ends the text and is not shown. */
START_TEST(test_stop)
{
    int stopped = 0;
    for (int a = 0; a < 200; a++) {
        int32_t token[60] = {1, FAKE_BYTE_0 + a};
        int n = go_on(&fake_growing, token, 2, FAKE_CONTEXT + 1, 1);
        if (n == FAKE_CONTEXT + 1) continue;
        stopped++;
        char byte = (char)a;
        if (a < 128) continue; /* it could be a piece of its own, or a blank of the shell */
        put_file("text", &byte, 1);
        token[1] = FAKE_TEXT_0;
        token[2] = FAKE_BYTE_0 + a;
        n = go_on(&fake_growing, token, 3, FAKE_CONTEXT + 1, 1);
        ck_assert_int_eq(run(PIECES " --temp 0 -n 0 -f text --ids"), 0);
        expect_ids(token, 1, n);
    }
    ck_assert_int_gt(stopped, 0);
}
END_TEST

START_TEST(test_context_full)
{
    int32_t token[60] = {1};
    int n = 0;
    char prompt[40] = "";
    for (int a = 'f'; n < FAKE_CONTEXT + 1; a++) { /* one that no stop token ends */
        token[1] = FAKE_TEXT_0;
        token[2] = FAKE_BYTE_0 + a;
        n = go_on(&fake_growing, token, 3, FAKE_CONTEXT + 1, 1);
        snprintf(prompt, sizeof prompt, "%c", a);
        if (a == 'g') a = 'h';
    }
    ck_assert_int_eq(run(PIECES " --temp 0 -n 0 -p %s --ids", prompt), 0);
    expect_ids(token, 1, FAKE_CONTEXT + 1);
    ck_assert_ptr_nonnull(strstr(err, "the context of 40 positions is full\n"));
    ck_assert_int_eq(run(PIECES " --temp 0 -n 40 -p %s --ids", prompt), 0);
    expect_ids(token, 1, FAKE_CONTEXT + 1);
    ck_assert_ptr_null(strstr(err, "is full"));
    expect_error(1, run(PIECES " -p zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
                 "the prompt has 48 tokens; 39 of the model's 40 positions are free");
    ck_assert_uint_eq(outs, 0);
}
END_TEST

START_TEST(test_ids)
{
    int32_t token[100] = {3, 299, 0};
    go_on(&fake_fixed, token, 3, 20, 0);
    ck_assert_int_eq(run(IDS " --temp 0 -n 20 -p '3 299 0'"), 0);
    expect_ids(token, 0, 20);
    expect_error(2, run(IDS), "needs a prompt");
    ck_assert_uint_eq(outs, 0);
    expect_error(1, run(IDS " -p hello"), "no tokenizer");
    expect_error(1, run(IDS " -p '3 300'"), "there is no token 300");
}
END_TEST

START_TEST(test_seeds)
{
    static char first[1 << 16];
    ck_assert_int_eq(run(BYTES " --seed 5 -n 300"), 0);
    memcpy(first, out, sizeof out);
    ck_assert_ptr_nonnull(strstr(err, "seed 5\n"));
    ck_assert_int_eq(
        run(BYTES " --seed 5 -n 300 --temp 0.8 --top-p 0.95 --top-k 0 --min-p 0 --repeat-penalty 1"), 0);
    ck_assert_mem_eq(first, out, outs);
    ck_assert_int_eq(run(BYTES " --seed 6 -n 300"), 0);
    ck_assert(memcmp(first, out, outs) != 0);
    static const char *const other[] = {"--temp 0.3", "--top-p 0.2", "--top-k 3", "--min-p 0.5",
                                        "--repeat-penalty 3"};
    for (size_t i = 0; i < LEN(other); i++) {
        ck_assert_int_eq(run(BYTES " --seed 5 -n 300 %s", other[i]), 0);
        ck_assert_msg(memcmp(first, out, outs) != 0, "%s changes nothing", other[i]);
    }
}
END_TEST

START_TEST(test_timings)
{
    ck_assert_int_eq(run(BYTES " -n 30 -p abc"), 0);
    ck_assert_ptr_nonnull(strstr(err, "start "));
    ck_assert_ptr_nonnull(strstr(err, "; prefill 4 tokens, "));
    ck_assert_ptr_nonnull(strstr(err, "; decode 26 tokens, "));
    ck_assert_ptr_nonnull(strstr(err, "; weights 0.00 MB, state 0.00 MB, work 0.00 MB; seed "));
    ck_assert_ptr_eq(strchr(err, '\n'), err + strlen(err) - 1);
    ck_assert_int_eq(run(BYTES " -n 30 -p abc --quiet"), 0);
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(run(BYTES " -n 3 --quiet --threads 1"), 0);
    ck_assert_str_eq(err, "");
    ck_assert_int_eq(run(BYTES " -n 3 --quiet --threads 4"), 0);
    ck_assert_ptr_nonnull(strstr(err, "this program runs on one thread; --threads 4 changes nothing"));
}
END_TEST

START_TEST(test_save_load)
{
    int32_t token[100] = {0, 'x', 'y'};
    go_on(&fake_fixed, token, 3, 61, 0);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 30 -p xy --save state"), 0);
    expect_bytes(token, 1, 31);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 60 --load state"), 0);
    expect_bytes(token, 31, 61);
    token[31] = 'z'; /* with a prompt, and over the same file */
    go_on(&fake_fixed, token, 32, 61, 0);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 60 --load state --save state -p z"), 0);
    expect_bytes(token, 31, 61);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 60 --load state"), 0);
    ck_assert_str_eq(out, "\n");
    expect_error(1, run(PIECES " --load state"), "cannot load state: it was saved by another model");
    expect_error(1, run(BYTES " --load none"), "cannot open none: No such file");
    put_file("state", "hello", 5);
    expect_error(1, run(BYTES " --load state"), "cannot load state: it is no saved state");
    ck_assert_uint_eq(outs, 0);
}
END_TEST

/* Of a state of pieces that has only read the start, the text begins as it always does. */
START_TEST(test_load_nothing)
{
    char first[1000];
    ck_assert_int_eq(run(PIECES " --temp 0 -n 9 -p the"), 0);
    memcpy(first, out, sizeof first);
    np_session *s = np_open_model(&fake_growing, &fake_pieces, NULL);
    ck_assert_ptr_null(np_feed(s, (const int32_t[]){1}, 1));
    ck_assert_ptr_null(np_save(s, "state"));
    np_close(s);
    ck_assert_int_eq(run(PIECES " --temp 0 -n 9 -p the --load state"), 0);
    ck_assert_mem_eq(out, first, outs);
}
END_TEST

static void expect_logits(const int32_t *token, int n)
{
    char head[300];
    float want[FAKE_V], got[FAKE_V];
    uint64_t length;
    FILE *f = fopen("logits", "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(&length, 8, 1, f), 1);
    ck_assert_uint_lt(length, sizeof head);
    ck_assert_uint_eq(fread(head, 1, length, f), length);
    head[length] = 0;
    char wanted[200];
    int k = snprintf(wanted, sizeof wanted,
                     "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}}", n, FAKE_V,
                     n * FAKE_V * 4);
    ck_assert_mem_eq(head, wanted, k);
    ck_assert_uint_eq(strspn(head + k, " "), length - (uint64_t)k);
    for (int i = 0; i < n; i++) {
        fake_expect(&fake_fixed, token, i + 1, want);
        ck_assert_uint_eq(fread(got, sizeof got, 1, f), 1);
        ck_assert_mem_eq(got, want, sizeof got);
    }
    ck_assert_int_eq(fgetc(f), EOF);
    fclose(f);
}

/* Rows for every token that was read, the start and the prompt's blocks included, the last one not. */
START_TEST(test_logits)
{
    int32_t token[100] = {0};
    for (int i = 1; i < 20; i++) token[i] = 'a' + i;
    go_on(&fake_fixed, token, 20, 51, 0);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 50 -p bcdefghijklmnopqrst --logits logits"), 0);
    expect_bytes(token, 1, 51);
    expect_logits(token, 50);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 50 -p bcdefghijklmnopqrst --logits logits --save state"), 0);
    expect_logits(token, 51);
    ck_assert_int_eq(run(BYTES " --temp 0 -n 1 --logits logits"), 0);
    expect_logits(token, 1);
    expect_error(1, run(BYTES " -n 10 --logits none/x"), "cannot write none/x: No such file");
    expect_error(1, run(BYTES " -n 10 --logits /dev/full"), "cannot write /dev/full: No space left");
    expect_error(1, run("" BYTES " -n 10 --logits /dev/fd/3 3>&1 | cat; false"), "Illegal seek");
}
END_TEST

START_TEST(test_perplexity)
{
    int32_t token[101] = {0};
    char text[100];
    float x[FAKE_V];
    double bits = 0, perplexity, per_byte;
    for (int i = 0; i < 100; i++) text[i] = (char)(token[i + 1] = (int)(fake_mix((uint64_t)i) % 256));
    for (int i = 0; i < 100; i++) {
        double sum = 0;
        fake_expect(&fake_fixed, token, i + 1, x);
        for (int v = 0; v < FAKE_V; v++) sum += exp((double)x[v]);
        bits += log2(sum) - (double)x[token[i + 1]] / log(2);
    }
    put_file("text", text, sizeof text);
    ck_assert_int_eq(run(BYTES " --perplexity text"), 0);
    ck_assert_int_eq(sscanf(out,
                            "perplexity %lf per token, %lf bits per byte; 100 tokens, 100 bytes, 1 window\n",
                            &perplexity, &per_byte),
                     2);
    ck_assert_double_eq_tol(per_byte, bits / 100, 1e-4);
    ck_assert_double_eq_tol(perplexity / exp2(bits / 100), 1, 1e-5);
    ck_assert_ptr_nonnull(strstr(err, "prefill 100 tokens"));
    put_file("text", "3 4 5 6", 7);
    ck_assert_int_eq(run(IDS " --perplexity text"), 0);
    ck_assert_ptr_nonnull(strstr(out, "per token; 3 tokens, 0 bytes, 1 window\n"));
    expect_error(1, run(BYTES " --perplexity none"), "cannot read none: No such file");
    put_file("text", "", 0);
    expect_error(1, run(BYTES " --perplexity text"), "the text is too short");
    put_file("text", "1 2 3", 5);
    expect_error(1, run(IDS " --perplexity text >/dev/full"), "cannot write the result");
}
END_TEST

START_TEST(test_bench)
{
    double prefill, decode;
    ck_assert_int_eq(run(BYTES " --bench -n 20"), 0);
    ck_assert_int_eq(sscanf(out,
                            "20 tokens: prefill %lf tokens/s, decode %lf tokens/s; median of 5",
                            &prefill, &decode),
                     2);
    ck_assert(prefill > 0 && decode > 0);
    ck_assert_int_eq(run(PIECES " --bench"), 0);
    ck_assert_ptr_nonnull(strstr(out, " tokens: prefill "));
    ck_assert_int_eq(run(NO_NUMBERS " --bench"), 1);
}
END_TEST

START_TEST(test_wrong_usage)
{
    static const struct {
        const char *args, *error;
    } row[] = {{"--tmep 1", "unknown option --tmep; did you mean --temp?"},
               {"--topk 1", "unknown option --topk; did you mean --top-k?"},
               {"--top-q=1", "unknown option --top-q; did you mean --top-"},
               {"--perplexty x", "did you mean --perplexity?"},
               {"--Help", "did you mean --help?"},
               {"--nonsense", "unknown option --nonsense; --help lists them"},
               {"--an-option-that-is-longer-than-all-others", "--help lists them"},
               {"-x", "unknown option -x"},
               {"hello", "what is 'hello' for? A text to go on from is given with -p"},
               {"-n", "-n: N is missing"},
               {"--save", "--save: FILE is missing"},
               {"-n x", "-n takes a whole number from 0 to"},
               {"-n -3", "-n takes a whole number"},
               {"-n 1.5", "-n takes a whole number"},
               {"-n ''", "-n takes a whole number"},
               {"-n 99999999999999999999", "-n takes a whole number"},
               {"--temp nan", "--temp takes a number from 0 to"},
               {"--temp -1", "--temp takes a number from 0"},
               {"--temp=", "--temp takes a number from 0"},
               {"--top-p 1.1", "--top-p takes a number from 0 to 1, not '1.1'"},
               {"--min-p 2", "--min-p takes a number from 0 to 1"},
               {"--repeat-penalty 0", "--repeat-penalty takes a number"},
               {"--threads 0", "--threads takes a whole number from 1"},
               {"--seed -1", "--seed takes a whole number from 0"},
               {"--quiet=yes", "--quiet takes no value"},
               {"-p a -f b", "-p and -f do not go together"},
               {"--bench --perplexity x", "--perplexity and --bench do not go together"},
               {"--bench -p x", "--bench and -p do not go together"},
               {"--perplexity x --load y", "--perplexity and --load do not go together"},
               {"--bench --logits y", "--bench and --logits do not go together"}};
    for (size_t i = 0; i < LEN(row); i++) {
        expect_error(2, run(BYTES " %s", row[i].args), row[i].error);
        ck_assert_uint_eq(outs, 0);
        ck_assert_ptr_eq(strchr(err, '\n'), err + strlen(err) - 1);
    }
}
END_TEST

START_TEST(test_help)
{
    static const char *const options[] = {"-p TEXT",     "-f FILE",
                                          "-n N",        "--temp X",
                                          "--top-k K",   "--top-p P",
                                          "--min-p P",   "--repeat-penalty X",
                                          "--seed S",    "--save FILE",
                                          "--load FILE", "--logits FILE",
                                          "--ids",       "--perplexity FILE",
                                          "--bench",     "--threads N",
                                          "--quiet",     "--help",
                                          "--version"};
    ck_assert_int_eq(run(BYTES " --help"), 0);
    for (size_t i = 0; i < LEN(options); i++)
        ck_assert_msg(strstr(out, options[i]) != NULL, "%s", options[i]);
    ck_assert_str_eq(err, "");
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n"))
        ck_assert_msg(strlen(line) < 90, "%s", line);
    ck_assert_int_eq(run(BYTES " -h"), 0);
    ck_assert_int_eq(run(PIECES " --version"), 0);
    ck_assert_str_eq(
        out,
        "growing, id 0000000000002222\npieces; 40 positions; weights 0.00 MB, state 0.00 MB, work 0.00 MB\n");
    ck_assert_int_eq(run(NO_STEP " --version"), 0);
}
END_TEST

START_TEST(test_cannot)
{
    expect_error(1, run(NO_STEP), "this model has no step");
    expect_error(1, run(NO_NUMBERS " -p 5"), "none of the model's logits is a number");
    expect_error(1, run(BYTES " -f none"), "cannot read none: No such file");
    expect_error(1, run(BYTES " -f ."), "cannot read .: Is a directory");
    expect_error(1, run(BYTES " -n 0 >/dev/full"), "cannot write the text: No space left"); /* and ends */
    expect_error(1, run(BYTES " --save none/x -n 0"), "cannot write none/x: No such file"); /* at once */
    ck_assert_uint_eq(outs, 0);
    expect_error(1, run(BYTES " --save /dev/full -n 5"), "cannot write /dev/full: No space left");
}
END_TEST

static pid_t start_endless(const char *more, const char *file)
{
    remove("out"); /* of the run before */
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("out", "w", stdout) || !freopen("err", "w", stderr)) _exit(99);
        execl(BYTES, "gau", "--temp", "0", "-n", "0", more, file, (char *)NULL);
        _exit(99);
    }
    ck_assert_int_gt(child, 0);
    struct stat st;
    for (int i = 0; i < 1000; i++) { /* until it writes */
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        if (stat("out", &st) == 0 && st.st_size > 100) return child;
    }
    ck_abort_msg("it wrote nothing");
    return child;
}

/* Ends with the timings; what was written is a beginning of the text, and what is kept goes on from there. */
START_TEST(test_interrupt)
{
    static const int number[] = {SIGINT, SIGTERM};
    for (int k = 0; k < 2; k++) {
        int status;
        pid_t child = start_endless("--save", "state");
        kill(child, number[k]);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 130);
        get_file("err", err, sizeof err);
        ck_assert_ptr_nonnull(strstr(err, "; decode "));
        np_session *s = fake_open(&fake_fixed, &fake_bytes);
        ck_assert_ptr_null(np_load(s, "state"));
        int64_t read = np_position(s);
        np_close(s);
        ck_assert_int_gt(read, 100);
        char line[2000];
        snprintf(line, sizeof line, BYTES " --temp 0 --quiet -n %lld > other", (long long)read - 1);
        ck_assert_int_eq(system(line), 0);
        ck_assert_int_eq(system("cmp out other"), 0);
    }
}
END_TEST

/* A reader that goes away ends it without a word. */
START_TEST(test_pipe_closed)
{
    ck_assert_int_eq(run(BYTES " -n 0 | head -c 10"), 0);
    ck_assert_uint_eq(outs, 10);
    ck_assert_str_eq(err, "");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_greedy_bytes, test_prompt,       test_pieces, test_stop,
                                  test_context_full, test_ids,          test_seeds,  test_timings,
                                  test_save_load,    test_load_nothing, test_logits, test_perplexity,
                                  test_bench,        test_wrong_usage,  test_help,   test_cannot,
                                  test_interrupt,    test_pipe_closed};
    fake_fill_pieces();
    return run_tests_for("rt_main", 120, make_dir, remove_dir, tests, LEN(tests));
}
