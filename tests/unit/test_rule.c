/* Type rules: what each operation gives, and the words for what is wrong. Each
 * row is one statement of a function with the operands below. */
#include "core.h"
#include "context.h"


static const char head[] =
    "dim T in 1..512 time\n"
    "dim N in 0..511 past\n"
    "dim B in 1..8\n"
    "weight $w f32[3,4]\n"
    "fn @g(%u f32[4], %w i32) -> (y f32[4], z i32) {\n"
    "  ret %u %w\n"
    "}\n"
    "fn @f(%q f32[64], %s f32[32,64], %x f32[T,4], %h f16[T,4], %i i32[T], %j i32, %d f64, %b bool, %m "
    "bool[T,4], "
    "%p f32[N,4], %z f32[3,4], %y f32[4], %c f32[B,T,4], %e i32[B,7], %r f32[2,2,2,2,2,2,2,2]) {\n";

/* One statement; its type is checked by the parser if it is written. */
static bool parses(const char *type, const char *statement)
{
    char text[2048];
    int n = snprintf(text, sizeof text, "%s  %%o %s = %s\n  ret %%q\n}\n", head, type, statement);
    np_mod *m = np_parse(cx, "t.np", text, (size_t)n);
    np_mod_free(m);
    return m != NULL;
}

START_TEST(test_types)
{
    static const struct {
        const char *statement, *type;
    } row[] = {{"weight $w", "f32[3,4]"},
               {"iota n=N+T", "i32[N+T]"},
               {"size n=2*T+1", "i32"},
               {"neg %i", "i32[T]"},
               {"not %m", "bool[T,4]"},
               {"exp %x", "f32[T,4]"},
               {"floor %d", "f64"},
               {"cast %x \"i8\"", "i8[T,4]"},
               {"cast %b \"f64\"", "f64"},
               {"div %x %x", "f32[T,4]"},
               {"mod %i %i", "i32[T]"},
               {"lt %x %x", "bool[T,4]"},
               {"eq %m %m", "bool[T,4]"},
               {"xor %m %m", "bool[T,4]"},
               {"shl %i %i", "i32[T]"},
               {"select %m %x %x", "f32[T,4]"},
               {"contract %s %q \"vk,k->v\"", "f32[32]"},
               {"contract %q %q \"k,v->kv\"", "f32[64,64]"},
               {"contract %q %q \"k,k->\"", "f32"},
               {"contract %d %d \",->\"", "f64"},
               {"contract %c %x \"btk,tK->Kbk\"", "f32[4,B,4]"},
               {"reduce %c \"max\" axis=1", "f32[B,4]"},
               {"expand %x axis=2 n=B", "f32[T,4,B]"},
               {"expand %d axis=0 n=T", "f64[T]"},
               {"permute %c \"btk->kbt\"", "f32[4,B,T]"},
               {"split %s axis=1 n=16", "f32[32,4,16]"},
               {"merge %c axis=0", "f32[B*T,4]"},
               {"merge %c axis=1", "f32[B,4*T]"},
               {"slice %s axis=1 from=60 n=4", "f32[32,4]"},
               {"slice %x axis=0 from=T-1 n=1", "f32[1,4]"},
               {"at %x axis=0 i=T-1", "f32[4]"},
               {"pad 0 %x axis=0 before=B after=2", "f32[B+T+2,4]"},
               {"concat %p %x %z axis=0", "f32[N+T+3,4]"},
               {"window %x axis=0 n=4", "f32[T,4,4]"},
               {"window %x %z axis=0 n=4", "f32[T,4,4]"},
               {"append %x axis=0 n=N", "f32[N+T,4]"},
               {"append %x %p axis=0 n=N", "f32[N+T,4]"},
               {"gather %z %i", "f32[T,4]"},
               {"gather %c %e batch=1", "f32[B,7,4]"},
               {"call @g %y %j", "(f32[4], i32)"}};
    for (size_t k = 0; k < NP_LEN(row); k++)
        ck_assert_msg(parses(row[k].type, row[k].statement), "%s: %s", row[k].statement, cx->diag[0].text);
}
END_TEST

/* The parser adds nothing to these: they are the rule's own words, the operation
 * first, operands by name and type. */
START_TEST(test_messages)
{
    static const struct {
        const char *statement, *message;
    } row[] = {
        {"add %x %h", "add: %x f32[T,4] and %h f16[T,4] differ"},
        {"add %p %x", "add: %p f32[N,4] and %x f32[T,4] differ"},
        {"add %m %m", "add wants numbers, not %m bool[T,4]"},
        {"exp %i", "exp wants floats, not %i i32[T]"},
        {"div %i %i", "div wants floats, not %i i32[T]"},
        {"and %x %x", "and wants bools or integers, not %x f32[T,4]"},
        {"shl %m %m", "shl wants integers, not %m bool[T,4]"},
        {"neg %m", "neg wants numbers, not %m bool[T,4]"},
        {"select %b %x %x", "select: the condition %b bool does not fit %x f32[T,4]"},
        {"select %m %x %h", "select: %x f32[T,4] and %h f16[T,4] differ"},
        {"cast %x \"f31\"", "cast: there is no element type \"f31\""},
        {"contract %q %s \"k,kv->v\"",
         "contract \"k,kv->v\": 'k' is 64 in %q f32[64] and 32 in %s f32[32,64]"},
        {"contract %q %s \"k,k->k\"", "contract \"k,k->k\": 1 letter for %s f32[32,64]"},
        {"contract %q %s \"k,vk->w\"", "contract \"k,vk->w\": 'w' of the result is in no operand"},
        {"contract %q %s \"k,kk->k\"", "contract \"k,kk->k\": 'k' stands twice in one place"},
        {"contract %q %s \"k,vk->vv\"", "contract \"k,vk->vv\": 'v' stands twice in one place"},
        {"contract %q %s \"k,1k->k\"", "contract \"k,1k->k\": '1' is not a letter"},
        {"contract %q %s \"kvk->v\"", "contract \"kvk->v\": wanted is \"ab,bc->ac\""},
        {"contract %h %x \"ab,ab->\"", "contract \"ab,ab->\": %h f16[T,4] and %x f32[T,4]"},
        {"contract %m %m \"ab,ab->\"", "contract \"ab,ab->\": %m bool[T,4] and %m bool[T,4]"},
        {"contract %r %q \"abcdefgh,i->abcdefghi\"", "contract: a tensor may have 8 axes at most"},
        {"reduce %x \"mean\" axis=0", "reduce \"mean\": sum, max or min"},
        {"reduce %x \"sum\" axis=2", "reduce: axis=2 does not fit %x f32[T,4]"},
        {"reduce %m \"max\" axis=0", "reduce wants numbers, not %m bool[T,4]"},
        {"expand %x axis=3 n=2", "expand: axis=3 does not fit %x f32[T,4]"},
        {"expand %r axis=0 n=2", "expand: a tensor may have 8 axes at most"},
        {"expand %x axis=T n=2", "expand: axis=T does not fit %x f32[T,4]"},
        {"permute %x \"ab->b\"", "permute \"ab->b\": 1 letter for %x f32[T,4]"},
        {"permute %x \"ab->bc\"", "permute \"ab->bc\": 'c' is not on the left"},
        {"split %x axis=1 n=3", "split: axis 1 of %x f32[T,4] is not a multiple of 3"},
        {"split %x axis=0 n=2", "split: axis 0 of %x f32[T,4] is not a multiple of 2"},
        {"merge %x axis=1", "merge: axis=1 does not fit %x f32[T,4]"},
        {"slice %s axis=1 from=61 n=4", "slice: 4 values from 61 do not lie in axis 1 of %s f32[32,64]"},
        {"slice %x axis=0 from=0 n=2", "slice: 2 values from 0 do not lie in axis 0 of %x f32[T,4]"},
        {"at %x axis=0 i=T", "at: index T is outside axis 0 of %x f32[T,4]"},
        {"at %x axis=0 i=-1", "at: index -1 is outside axis 0 of %x f32[T,4]"},
        {"pad 0 %x axis=0 before=-1 after=0", "pad by -1"},
        {"concat %x %s axis=0", "concat along axis 0: %x f32[T,4] and %s f32[32,64]"},
        {"concat axis=0", "concat of nothing"},
        {"window %x axis=0 n=0", "window of 0 steps"},
        {"window %x axis=0 n=T", "window of T steps"},
        {"window %x %p axis=0 n=4", "window: %p f32[N,4] cannot stand before %x f32[T,4]"},
        {"append %x %z axis=0 n=N", "append: %z f32[3,4] cannot stand before %x f32[T,4]"},
        {"gather %x %x", "gather: the indices %x f32[T,4] are not integers"},
        {"gather %c %i batch=1", "gather: axis 0 of %c f32[B,T,4] and %i i32[T]"},
        {"pick %x i=1", "pick: result 1 of %x f32[T,4]"},
        {"weight $v", "weight $v is not declared"},
        {"call @h %x", "call: there is no function @h before this one"},
        {"call @g %y", "call @g: 1 operand, wanted: 2"},
        {"call @g %x %j", "call @g: %x f32[T,4] is not f32[4]"},
        {"neg", "neg wants 1 operand, not 0"},
        {"iota n=-2", "iota gives i32[-2]: too large, or a negative size"},
    };
    for (size_t k = 0; k < NP_LEN(row); k++) {
        ck_assert_msg(!parses("", row[k].statement), "%s is taken", row[k].statement);
        const np_diag *d = &cx->diag[cx->ndiags - 1];
        ck_assert_str_eq(d->text, row[k].message);
        ck_assert_int_eq(d->loc.line, 9);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {test_types, test_messages};
    return run_tests("rule", setup, teardown, tests, NP_LEN(tests));
}
