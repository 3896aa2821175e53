/* neap: the command line. A command is a row of the table and a file beside
 * this one; main finds it, reads its options, and prints what was reported. */
#include "driver.h"

#include <string.h>

const np_command np_commands[] = {
    {"build", "MODEL",
     "out emit weights tokenizer set target backend chunk context batch print-before print-after time eval",
     1, 1, np_build_main, "compile a model to a program, a library, or C",
     "A program needs no file beside it. Without -o it is called like the model."},
    {"run", "MODEL [-- ARGS]", "weights tokenizer set target chunk context", 1, 1, np_run_main,
     "build a model's program into the cache and run it",
     "The cache is $XDG_CACHE_HOME/neap or ~/.cache/neap; it may be deleted at any time."},
    {"eval", "MODEL", "in out via target set weights context batch chunk split rounded repeat", 1, 1,
     np_eval_main, "run a model on named tensors",
     "Inputs are tensors of a safetensors file, found by their names; sizes come from their shapes. If the "
     "file's\n"
     "metadata has a list `inputs`, no other tensor is taken for one. Results go to --out, or are "
     "described."},
    {"check", "MODEL", "weights set target context batch chunk", 1, 1, np_check_main,
     "test a model: its self-tests and what must hold of any model",
     "Self-tests compare with what the description expects. Then what must hold of any model is tested, a "
     "line each, with\n"
     "the error that was found, in each form that its scans may have (step by step, in chunks) as the "
     "interpreter runs it\n"
     "and as compiled code: it gives what is described whatever the length; cut anywhere, with the state "
     "carried, or saved\n"
     "and loaded; the future changes no bit of the past; what stands behind the end is inert; sequences of "
     "a batch are\n"
     "independent; decays that forget everything stay exact; NaN and infinity reach only what depends on "
     "them.\n"
     "Sizes come from the first self-test; without one they are picked, small and all different. Inputs "
     "are seeded numbers\n"
     "in the range of the self-test's; without one logarithms of decays lie in [-1, 0], others in [-1/2, "
     "1/2]."},
    {"explain", "MODEL", "html weights set target context batch chunk", 1, 1, np_explain_main,
     "what every pass decided and why", NULL},
    {"info", "FILE", "", 1, 1, np_info_main, "what a checkpoint, a tokenizer or a module holds", NULL},
    {"ops", "[NAME..]", "", 0, NP_OPTIONS_ARGS, np_ops_main, "the operations of the intermediate language",
     NULL},
    {"models", "", "", 0, 0, np_models_main, "the models that come with neap", NULL},
    {"targets", "", "", 0, 0, np_targets_main, "the machines that code is made for", NULL},
    {"version", "", "", 0, 0, np_version_main, "which neap this is", NULL},
    {"help", "[COMMAND]", "", 0, 1, np_help_main, "this list, or a page about one command", NULL},
    {0},
};

static const np_command *find_command(const char *name)
{
    for (const np_command *c = np_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static int unknown(const char *name)
{
    const char *among[NP_LEN(np_commands)];
    int n = 0;
    for (const np_command *c = np_commands; c->name; c++) among[n++] = c->name;
    const char *near = np_str_near(name, n, among);
    return np_options_wrong(NULL, near ? "unknown command '%s'; did you mean %s?" : "unknown command '%s'",
                            name, near);
}

static void help_command(const np_command *c, FILE *out)
{
    fprintf(out, "neap %s%s%s: %s\n", c->name, *c->args ? " " : "", c->args, c->what);
    if (c->more) fprintf(out, "\n%s\n", c->more);
    fprintf(out, "\n");
    np_options_help(c, out);
}

static void help_all(FILE *out)
{
    fprintf(out, "neap lowers models that are described in Lua to optimised code.\n\n");
    for (const np_command *c = np_commands; c->name; c++) {
        char left[64];
        snprintf(left, sizeof left, "%s %s", c->name, c->args);
        fprintf(out, "  neap %-20s %s\n", left, c->what);
    }
    fprintf(out,
            "\nMODEL is a .lua file, the name of a model (neap models), or a checkpoint: its config.json "
            "chooses\n"
            "the model. neap help COMMAND describes a command and its options.\n"
            "Exit status: 0 done, 1 the input is at fault, 2 wrong usage, 3 a mistake of neap itself.\n");
}

int np_help_main(np_cx *cx, const np_options *o)
{
    (void)cx;
    const np_command *c = o->nargs ? find_command(o->arg[0]) : NULL;
    if (o->nargs && !c) return unknown(o->arg[0]);
    if (c)
        help_command(c, stdout);
    else
        help_all(stdout);
    return NP_EXIT_DONE;
}

/* What was printed may not have arrived: a full disk, a closed pipe. */
static int flushed(int status)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == NP_EXIT_DONE) {
        fprintf(stderr, "neap: cannot write to standard output\n");
        return NP_EXIT_INPUT;
    }
    return status;
}

static int run(np_cx *cx, const np_command *c, int argc, char **argv)
{
    np_options o;
    int status = NP_EXIT_USAGE;
    if (np_options_read(cx, c, argc, argv, 2, &o) == NP_OK) {
        status = NP_EXIT_DONE;
        if (o.help)
            help_command(c, stdout);
        else
            status = c->run(cx, &o);
    }
    np_diag_print(cx, NP_WARNING, stderr);
    if (cx->nerrors && status == NP_EXIT_DONE) status = NP_EXIT_INPUT;
    return flushed(status);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_all(stderr);
        return NP_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0) name = "version";
    const np_command *c = find_command(name);
    if (!c) return unknown(name);
    np_cx *cx = np_cx_new();
    int status = run(cx, c, argc, argv);
    np_cx_free(cx);
    return status;
}
