"""What the benchmarks share: processes, safetensors, statistics."""
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NEAP = os.path.join(ROOT, "build", "neap")
MODELS = os.path.join(ROOT, "models")


def run(argv, **more):
    """seconds and output of a process; one that fails ends the benchmark"""
    start = time.perf_counter()
    r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    took = time.perf_counter() - start
    if r.returncode:
        sys.exit("%s: status %d: %s" % (" ".join(map(str, argv)), r.returncode, r.stderr.decode()[-300:]))
    return took, r.stdout.decode(errors="replace")


def cost(argv):
    """seconds and MiB that a command takes"""
    start = time.perf_counter()
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, use = os.wait4(p.pid, 0)
    if status:
        sys.exit("%s: status %d" % (" ".join(argv), status))
    return time.perf_counter() - start, use.ru_maxrss / 1024


def spread(v):
    v = sorted(v)
    return "%9.1f  (%.1f .. %.1f)" % (statistics.median(v), v[len(v) // 4], v[3 * len(v) // 4])


def times(a, b):
    """how many times faster a is than b: the median over the rounds"""
    return statistics.median(y / x for x, y in zip(a, b))


def save(path, tensors):
    """a safetensors file of f32 arrays"""
    head, at = {}, 0
    for k, v in tensors.items():
        head[k] = {"dtype": "F32", "shape": list(v.shape), "data_offsets": [at, at + v.nbytes]}
        at += v.nbytes
    raw = json.dumps(head).encode()
    raw += b" " * (-len(raw) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for v in tensors.values():
            f.write(v.data)


def load(path):
    import numpy as np
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        head = json.loads(f.read(n))
        raw = f.read()
    head.pop("__metadata__", None)
    return {k: np.frombuffer(raw, np.float32, offset=v["data_offsets"][0], count=int(np.prod(v["shape"]))).reshape(v["shape"]) for k, v in head.items()}


def evaluate(model, given, *more, repeat=1):
    """ms of a call of compiled code (the least of `repeat`), and bytes of its work memory"""
    text = run([NEAP, "eval", model, "--in", given, "--target", "native", "--repeat", str(repeat), *map(str, more)])[1]
    m = re.search(r"min ([0-9.]+) ms of \d+ runs, (\d+) bytes of work memory", text)
    return float(m.group(1)), int(m.group(2))


def repeats(ms):
    """so many that a contender runs for a third of a second"""
    return max(1, min(50, int(300 / max(ms, 0.1))))


def room(bytes_needed):
    """is there memory for it, with as much left over"""
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024 > 1.5 * bytes_needed
    return True
