#!/usr/bin/env python3
"""Speed of compiled models, side by side with a peer.

    ./dev bench [--llama2c RUN.C] [--rounds N] [--json FILE]

In each round every contender runs once, in turn, so that what else the machine does hits all alike. Decode: a whole process that
writes 200 tokens greedily, less one that writes 12, so that start-up is left out. Prefill: what the program itself measures with
--bench, 512 tokens read in blocks against 512 written one by one. Figures are medians over the rounds with the quartiles around
them; ratios are medians of the ratios of each round.

--llama2c names llama2.c's run.c (or LLAMA2C in the environment does): it is built with gcc -Ofast -march=native and runs the same
checkpoint. Without it its rows are left out. stories260K is read in place from ../shared/data."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEAP = os.path.join(ROOT, "build", "neap")
STORIES = os.path.join(ROOT, "..", "shared", "data", "stories260k")
SHORT, LONG = 12, 200


def run(argv):
    """seconds and output of a process"""
    start = time.perf_counter()
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    took = time.perf_counter() - start
    if r.returncode:
        sys.exit("%s: status %d: %s" % (" ".join(argv), r.returncode, r.stderr.decode()[-300:]))
    return took, r.stdout.decode(errors="replace")


def cost(argv):
    """seconds and MiB that a command takes"""
    start = time.perf_counter()
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, use = os.wait4(p.pid, 0)
    if status:
        sys.exit("%s: status %d" % (" ".join(argv), status))
    return time.perf_counter() - start, use.ru_maxrss / 1024


def decode(argv):
    """microseconds a token; argv gives the command that writes n tokens"""
    return (run(argv(LONG))[0] - run(argv(SHORT))[0]) / (LONG - SHORT) * 1e6


def inside(program):
    """microseconds a token: read at once, written one by one"""
    speeds = re.search(r"prefill ([0-9.]+) tokens/s, decode ([0-9.]+)", run([program, "--bench", "--temp", "0"])[1])
    return [1e6 / float(v) for v in speeds.groups()]


def spread(v):
    v = sorted(v)
    return "%9.1f  (%.1f .. %.1f)" % (statistics.median(v), v[len(v) // 4], v[3 * len(v) // 4])


def times(a, b):
    """how many times faster a is than b"""
    return statistics.median(y / x for x, y in zip(a, b))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--llama2c", default=os.environ.get("LLAMA2C"), metavar="RUN.C")
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--json", metavar="FILE")
    o = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        figures = measure(o, tmp)
    if o.json:
        with open(o.json, "w") as f:
            json.dump(figures, f, indent=1)


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


if __name__ == "__main__":
    main()
