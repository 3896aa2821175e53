/* neap ops: the reference of operations, printed from ir/ops.def as Markdown.
 * docs/ops.md is this text; a test fails if they differ. */
#include "driver.h"

#include <string.h>

static const struct {
    np_opclass cls;
    const char *title, *what;
} classes[] = {
    {NP_LEAF, "Leaves", "Values that are made of nothing. They stand at every stage."},
    {NP_ELEM, "Elementwise",
     "One result for each index. Operands have the same shape (a scalar has none), so these serve every "
     "stage."},
    {NP_TENSOR, "Tensors", "Whole tensors, until `loops` spells them out."},
    {NP_LOOPS, "Loops and memory", "What whole tensors become."},
    {NP_CTRL, "Control", "Ends of bodies and functions, branches, units."},
};

/* As it is written in the text form: op, operands, attributes, bodies. */
static void signature(np_text *t, const np_opinfo *i)
{
    np_text_add(t, "%s", i->text);
    if (i->has_num) np_text_add(t, " NUMBER");
    for (int k = 0; k < i->nargs; k++) np_text_add(t, " %%%c", "abcdef"[k]);
    if (i->nargs == NP_ANY) np_text_add(t, " %%a ..");
    if (i->has_sym)
        np_text_add(t, strcmp(i->text, "weight") == 0 ? " $NAME"
                       : strcmp(i->text, "call") == 0 ? " @NAME"
                                                      : " \"TEXT\"");
    for (int k = 0; k < i->nattrs; k++) {
        np_text_add(t, i->optional[k] ? " [%s=%lld]" : " %s=", i->attr[k], (long long)i->dflt[k]);
    }
    for (int k = 0; k < i->nbodies; k++) np_text_add(t, k ? " else { .. }" : " { .. }");
}

static void print_op(np_op op, bool cells)
{
    const np_opinfo *i = np_op_info(op);
    np_text t = {0};
    signature(&t, i);
    printf(cells ? "| `%s` | " : "%s: ", t.s);
    for (const char *p = i->doc; *p; p++) printf(cells && *p == '|' ? "\\|" : "%c", *p);
    if (i->comm) printf("; commutative");
    if (i->fx) printf("; has an effect");
    printf(cells ? " |\n" : "\n");
    np_text_free(&t);
}

static int print_named(const char *name)
{
    const char *among[NP_NOPS];
    np_op op;
    if (np_op_find(name, &op)) {
        print_op(op, false);
        return NP_EXIT_DONE;
    }
    for (int i = 0; i < NP_NOPS; i++) among[i] = np_op_info((np_op)i)->text;
    const char *near = np_str_near(name, NP_NOPS, among);
    return np_options_wrong("ops", near ? "there is no op '%s'; did you mean %s?" : "there is no op '%s'",
                            name, near);
}

int np_ops_main(np_cx *cx, const np_options *o)
{
    int status = NP_EXIT_DONE;
    (void)cx;
    for (int i = 0; i < o->nargs && status == NP_EXIT_DONE; i++) status = print_named(o->arg[i]);
    if (o->nargs) return status;
    printf("# Operations\n\nPrinted by `neap ops` from `ir/ops.def`. `%%a` is an operand, `\"TEXT\"` a "
           "contraction's indices or a kind, `name=` an attribute;\n"
           "one in brackets may be left out and then has the value shown.\n");
    for (size_t c = 0; c < NP_LEN(classes); c++) {
        printf("\n## %s\n\n%s\n\n| written | what |\n|---|---|\n", classes[c].title, classes[c].what);
        for (int i = 0; i < NP_NOPS; i++)
            if (np_op_info((np_op)i)->cls == classes[c].cls) print_op((np_op)i, true);
    }
    return status;
}
