/* Bounds of expressions that hold whatever the inputs are. */
#include "passes/interval.h"
#include "suite.h"

#include <math.h>

static np_interval of(const char *body)
{
    np_cx *cx = np_cx_new();
    np_text t = {0};
    np_text_add(&t, "fn @main(%%x f32[3], %%y f32[3]) -> (r f32[3]) {\n%s\n  ret %%r\n}\n", body);
    np_mod *m = np_parse(cx, "t.np", t.s, strlen(t.s));
    ck_assert_msg(m, "%s does not parse", body);
    np_interval r = np_interval_of(np_mod_fn(m, "main")->top.last->arg[0]);
    np_mod_free(m);
    np_text_free(&t);
    np_cx_free(cx);
    return r;
}
static void is(const char *body, double lo, double hi)
{
    np_interval r = of(body);
    bool good = (r.lo == lo || fabs(r.lo - lo) < 1e-12) && (r.hi == hi || fabs(r.hi - hi) < 1e-12);
    ck_assert_msg(good, "%s: [%g, %g], not [%g, %g]", body, r.lo, r.hi, lo, hi);
}

START_TEST(ranges)
{
    is("%r = add %x %y", -INFINITY, INFINITY);
    is("%r = exp %x", 0, INFINITY);
    is("%r = sigmoid %x", 0, 1);
    is("%r = tanh %x", -1, 1);
    is("%s = softplus %x\n%r = neg %s", -INFINITY, 0);
    is("%r = cos %x", -1, 1);
    is("%r = mul %x %x", 0, INFINITY);
    is("%c = const 2\n%d = expand %c axis=0 n=3\n%r = pow %x %d", 0, INFINITY);
    is("%b = lt %x %y\n%s = sigmoid %x\n%t = tanh %y\n%r = select %b %s %t", -1, 1);
}
END_TEST
/* The gates that models have. */
START_TEST(gates)
{
    /* exp(-0.606531 sigmoid(x)) */
    is("%s = sigmoid %x\n%c = const -0.606531\n%d = expand %c axis=0 n=3\n%m = mul %s %d\n%r = exp %m",
       exp(-0.606531), 1);
    /* exp(-exp(x)) */
    is("%e = exp %x\n%n = neg %e\n%r = exp %n", 0, 1);
    /* exp(log sigmoid(x) / 16) */
    is("%n = neg %x\n%s = softplus %n\n%l = neg %s\n%c = const 0.0625\n%d = expand %c axis=0 n=3\n%m = mul "
       "%l %d\n%r = exp %m",
       0, 1);
    /* a lower bound: 0.9 + 0.1 sigmoid(x) */
    is("%s = sigmoid %x\n%c = const 0.1\n%d = expand %c axis=0 n=3\n%m = mul %s %d\n%e = const 0.9\n%f = "
       "expand %e axis=0 n=3\n%r = add %m %f",
       0.9, 1);
    /* clamped */
    is("%c = const -5\n%d = expand %c axis=0 n=3\n%a = max %x %d\n%e = const 0\n%f = expand %e axis=0 "
       "n=3\n%b = min %a %f\n%r = exp %b",
       exp(-5), 1);
}
END_TEST
START_TEST(unknown)
{
    is("%e = exp %x\n%l = log %e\n%r = sub %l %l", -INFINITY, INFINITY);
    is("%r = recip %x", -INFINITY, INFINITY);
    is("%r = div %x %y", -INFINITY, INFINITY);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {ranges, gates, unknown};
    return run_tests("interval", NULL, NULL, tests, NP_LEN(tests));
}
