"""What may not grow: the time of a decode step with the position, the time and the memory of a step with the length of the sequence; and
elementwise states (Mamba's scan) against the plain loops in C of loop.c."""
import os
import statistics
import sys

import tools
from tools import MODELS, NEAP, ROOT, run


def random(*shape):
    import numpy as np
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


# ---- elementwise states
D, N, T = 1536, 16, 2048


def grids(o, tmp):
    """Mamba: x, dt [T,D], A [D,N], B, C [T,N]; us a step of ours and of a loop over t, d, n"""
    import numpy as np
    given, raw, loop = tmp + "/grid.safetensors", tmp + "/grid.raw", {}
    x = {"x": random(1, T, D), "dt": (random(1, T, D) ** 2 / 16).astype(np.float32), "A": -np.exp(random(D, N)).astype(np.float32), "B": random(1, T, N), "C": random(1, T, N)}
    tools.save(given, x)
    with open(raw, "wb") as f:
        for v in x.values():
            f.write(v.data)
    for name, flags in (("-O3", []), ("-O3 -ffast-math", ["-ffast-math"])):
        loop[name] = tmp + "/loop" + str(len(flags))
        run([os.environ.get("CC", "cc"), "-O3", "-march=native", *flags, "-o", loop[name], ROOT + "/bench/loop.c", "-lm"])
    ms = {"neap": [], **{name: [] for name in loop}}
    for i in range(o.rounds):
        print("\rgrids round %d " % (i + 1), end="", file=sys.stderr, flush=True)
        ms["neap"].append(tools.evaluate(MODELS + "/mixers/mamba.lua", given, repeat=10)[0])
        for name, program in loop.items():
            ms[name].append(float(run([program, raw, str(T), str(D), str(N)])[1]))
    print("\r%-42s %9.2f us/step" % ("Mamba's scan, %d channels of %d" % (D, N), statistics.median(ms["neap"]) / T * 1e3))
    for name in loop:
        print("    loop in C, %s -march=native: %.2f us/step, %.1f times as long" % (name, statistics.median(ms[name]) / T * 1e3, tools.times(ms["neap"], ms[name])))
    return ms


# ---- growth
def by_length(o, tmp, what, model, make, lengths):
    """ratio of the time of a step at the longest to that at the shortest, and of the work memory"""
    ms, work = {n: [] for n in lengths}, {}
    for i in range(max(3, o.rounds // 3)):
        for n in lengths:
            print("\r%s T=%d round %d " % (what, n, i + 1), end="", file=sys.stderr, flush=True)
            given = tmp + "/growth.safetensors"
            tools.save(given, make(n))
            t, work[n] = tools.evaluate(model, given, repeat=max(1, 8192 // n))
            ms[n].append(t / n)
    a, b = lengths[0], lengths[-1]
    grown = statistics.median(y / x for x, y in zip(ms[a], ms[b]))
    print("\r%-42s %9.2f us/step at T=%d, %.2f times that at T=%d, work memory %.1f and %.1f MiB" % (
        what, statistics.median(ms[a]) * 1e3, a, grown, b, work[a] / 2**20, work[b] / 2**20))
    return {"ms": ms, "work": work}


def quadratic(T):
    return {"q": random(1, T, 4, 64), "k": random(1, T, 4, 64), "v": random(1, T, 4, 64)}


def position(o, tmp):
    """us a token of the default model, early and late; each from the least seconds of its runs"""
    program, ends = tmp + "/gau", [200, 1200, 4000, 5000]
    least = dict.fromkeys(ends, float("inf"))
    run([NEAP, "build", "gau", "--target", "native", "-o", program])
    for _ in range(o.rounds):
        for n in ends:
            least[n] = min(least[n], run([program, "--temp", "0", "--quiet", "-n", str(n)])[0])
    early, late = (least[1200] - least[200]) * 1e3, (least[5000] - least[4000]) * 1e3
    print("%-42s %9.1f us/token from 200 on, %.2f times that from 4000 on" % ("decode of the default model", early, late / early))
    return {"early": early, "late": late}


def measure(o, tmp):
    lengths = o.lengths or [512, 4096, 65536]
    return {
        "quadratic": by_length(o, tmp, "linear attention, written quadratically", ROOT + "/bench/quadratic.lua", quadratic, lengths),
        "mamba": by_length(o, tmp, "Mamba's scan", MODELS + "/mixers/mamba.lua", lambda T: {
            "x": random(1, T, 256), "dt": random(1, T, 256) ** 2 / 16, "A": -abs(random(256, 16)), "B": random(1, T, 16), "C": random(1, T, 16)}, lengths),
        "position": position(o, tmp),
    }
