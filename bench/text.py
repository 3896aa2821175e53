"""Text: decode and prefill of whole programs, side by side with llama2.c.

Decode: a process that writes 200 tokens greedily, less one that writes 12, so that start-up is left out. Prefill: what the program
itself measures with --bench, 512 tokens read in blocks against 512 written one by one. --llama2c names llama2.c's run.c (or LLAMA2C in
the environment does): it is built with gcc -Ofast -march=native and runs the same checkpoint. Without it its rows are left out.
stories260K is read in place from ../shared/data."""
import os
import re
import sys

from tools import NEAP, ROOT, cost, run, spread, times

STORIES = os.path.join(ROOT, "..", "shared", "data", "stories260k")
SHORT, LONG = 12, 200


def decode(argv):
    """microseconds a token; argv gives the command that writes n tokens"""
    return (run(argv(LONG))[0] - run(argv(SHORT))[0]) / (LONG - SHORT) * 1e6


def inside(program):
    """microseconds a token: read at once, written one by one"""
    speeds = re.search(r"prefill ([0-9.]+) tokens/s, decode ([0-9.]+)", run([program, "--bench", "--temp", "0"])[1])
    return [1e6 / float(v) for v in speeds.groups()]


def measure(o, tmp):
    figures, programs, peer = {}, {}, None
    models = {"default": ["gau"]}
    if os.path.isdir(STORIES):
        models["stories260K"] = ["llama", "--weights", STORIES + "/stories260K.bin", "--tokenizer", STORIES + "/tok512.bin"]
    for model, args in models.items():
        seconds, mib = cost([NEAP, "build", *args, "--emit", "c", "-o", tmp + "/x.c"])
        figures["build " + model] = {"seconds": seconds, "MiB": mib}
        print("%-42s %7.2f s   %5.1f MiB" % ("neap build %s, without the C compiler" % model, seconds, mib))
        for target in ("native", "generic"):
            programs[model, target] = "%s/%s-%s" % (tmp, model, target)
            cost([NEAP, "build", *args, "--target", target, "-o", programs[model, target]])
    if o.llama2c and "stories260K" in models:
        peer = tmp + "/run"
        cost(["gcc", "-Ofast", "-march=native", o.llama2c, "-lm", "-o", peer])
    rounds = {k: {"decode": [], "at once": [], "one by one": []} for k in programs}
    peers = []
    for i in range(o.rounds):
        print("\rround %d of %d" % (i + 1, o.rounds), end="", file=sys.stderr, flush=True)
        if peer:
            peers.append(decode(lambda n: [peer, STORIES + "/stories260K.bin", "-z", STORIES + "/tok512.bin", "-t", "0", "-n", str(n)]))
        for k, program in programs.items():
            rounds[k]["decode"].append(decode(lambda n: [program, "--temp", "0", "--quiet", "-n", str(n)]))
            once, single = inside(program)
            rounds[k]["at once"].append(once)
            rounds[k]["one by one"].append(single)
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    print("%-42s %9s" % ("", "us/token"))
    if peer:
        print("%-42s %s" % ("stories260K decode, llama2.c -Ofast native", spread(peers)))
        figures["llama2.c"] = {"us": peers}
    for (model, target), r in rounds.items():
        line = "%-42s %s" % ("%s decode, %s" % (model, target), spread(r["decode"]))
        print(line + ("   %.2f times llama2.c" % times(r["decode"], peers) if peers else ""))
        print("%-42s %s   %.2f times as fast as 512 steps" % ("%s prefill 512, %s" % (model, target), spread(r["at once"]), times(r["at once"], r["one by one"])))
        figures["%s %s" % (model, target)] = {"us": r, "llama2.c": times(r["decode"], peers) if peers else None, "prefill": times(r["at once"], r["one by one"])}
    if not peer:
        print("llama2.c: name its run.c with --llama2c; left out")
    return figures
