"""Scans: every chunk against what is chosen automatically, how time and memory grow, and torch as a peer.

A contender is a form of a mixer of models/mixers on the same inputs; in each round all run in turn, each for a third of a second or
once, and its time is the least of these runs (what the machine does beside only adds). Ratios are medians over the rounds."""
import os
import statistics
import subprocess
import sys

import tools

CHUNKS = [1, 16, 32, 64, 128]
SHAPES = [(8, 64, 64), (32, 128, 128)]
LENGTHS = [512, 4096, 65536]
MIXERS = {"scalar decay": "simple_gla", "vector decay": "gla", "delta rule": "gated_delta_rule"}


def inputs(kind, T, H, K, V):
    import numpy as np
    r = np.random.default_rng(1)
    n = lambda *shape: r.standard_normal(shape, np.float32)
    x = {"q": n(1, T, H, K), "k": n(1, T, H, K), "v": n(1, T, H, V)}
    decay = lambda *shape: (-np.log1p(np.exp(-n(*shape))) / 16).astype(np.float32)
    if kind == "vector decay":
        x["gk"] = decay(1, T, H, K)
    else:
        x["g"] = decay(1, T, H)
    if kind == "delta rule":
        x["k"] /= np.linalg.norm(x["k"], axis=-1, keepdims=True)
        x["beta"] = (1 / (1 + np.exp(-n(1, T, H)))).astype(np.float32)
    return x


class Torch:
    """The peer: a process of its own that keeps the inputs of a row (peers.py)."""

    def __init__(self, python):
        self.p = subprocess.Popen([python, os.path.join(tools.ROOT, "bench", "peers.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.p.stdin.write("\t".join(map(str, words)) + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline()
        if not answer:
            sys.exit("the peer has ended")
        return float(answer)


def row(o, kind, shape, T, tmp, torch):
    """ms of every contender, a list over the rounds; None: no room"""
    import numpy as np
    H, K, V = shape
    given, model = os.path.join(tmp, "in.safetensors"), os.path.join(tools.MODELS, "mixers", MIXERS[kind] + ".lua")
    numbers = T * H * (2 * K + 2 * V + (K if kind == "vector decay" else 2))
    if not tools.room(20 * numbers):  # the file, doubles, and what the code sees
        return None, None
    tools.save(given, inputs(kind, T, H, K, V))
    chunks = {str(c): c for c in CHUNKS if c <= T}
    if T <= 512:  # all at once is quadratic: hopeless beyond
        chunks["T"] = T
    chunks["automatic"] = 0
    ms, work = {c: [] for c in chunks}, {}
    peers = ["torch chunk"] + (["torch steps"] if T <= 4096 else []) if torch else []
    ms.update({p: [] for p in peers})
    if torch:
        torch.ask("load", kind, given)
    first = {}
    for i in range(o.rounds if T <= 4096 else max(1, o.rounds // 2)):
        print("\r%s %s T=%d round %d  " % (kind, shape, T, i + 1), end="", file=sys.stderr, flush=True)
        for name, c in chunks.items():
            out = ["-o", os.path.join(tmp, "out.safetensors")] if torch and i == 0 and name == "automatic" and T == 512 else []
            t, work[name] = tools.evaluate(model, given, "--chunk", c, *out, repeat=tools.repeats(first.get(name, 100)))
            first.setdefault(name, t)
            ms[name].append(t)
            if out:
                error = torch.ask("compare", out[1])
                if not error < 1e-3:
                    sys.exit("torch computes something else: %s differs by %g" % (kind, error))
        for p in peers:
            ms[p].append(torch.ask(p.split()[1], tools.repeats(first.get(p, 100))))
            first.setdefault(p, ms[p][0])
    os.remove(given)
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return ms, work


def show(kind, shape, T, ms, work):
    mine = {k: v for k, v in ms.items() if not k.startswith("torch")}
    best = min((k for k in mine if k != "automatic"), key=lambda k: statistics.median(mine[k]))
    print("%-13s %-12s T=%-6d %9.2f us/step  best chunk %-4s  automatic %.2f times the best  work %.1f MiB" % (
        kind, "%dx%dx%d" % shape, T, statistics.median(ms["automatic"]) / T * 1e3, best, 1 / tools.times(ms["automatic"], ms[best]), work["automatic"] / 2**20))
    print("    chunk:us/step " + "  ".join("%s:%.2f" % (k, statistics.median(v) / T * 1e3) for k, v in mine.items()))
    for p in ms:
        if p.startswith("torch"):
            print("    %s %.1f us/step: automatic is %.1f times as fast" % (p, statistics.median(ms[p]) / T * 1e3, tools.times(ms["automatic"], ms[p])))


def measure(o, tmp):
    torch, figures = Torch(o.torch) if o.torch else None, {}
    for kind in MIXERS:
        for shape in SHAPES:
            per_step = {}
            for T in o.lengths or LENGTHS:
                ms, work = row(o, kind, shape, T, tmp, torch)
                if ms is None:
                    print("%-13s %dx%dx%d T=%d: not enough memory, left out" % (kind, *shape, T))
                    continue
                show(kind, shape, T, ms, work)
                figures["%s %dx%dx%d %d" % (kind, *shape, T)] = {"ms": ms, "work": work}
                per_step[T] = statistics.median(ms["automatic"]) / T, work["automatic"]
            if len(per_step) > 1:
                a, b = min(per_step), max(per_step)
                print("    a step at T=%d takes %.2f times one at T=%d; work memory %.2f times" % (b, per_step[b][0] / per_step[a][0], a, per_step[b][1] / max(1, per_step[a][1])))
    return figures
