#!/usr/bin/env python3
"""Speed of compiled models, side by side with peers.

    ./dev bench [text] [scans] [grids] [growth]   [--rounds N] [--lengths T,T] [--llama2c RUN.C] [--peers] [--json FILE]

Without names all rows are taken: `text` programs (text.py), `scans` chunks of recurrences with a matrix for a state (scans.py), `grids`
elementwise states against loops in C, `growth` what may not grow with the position or the length (both in growth.py). In each round
every contender runs once, in turn, so that what else the machine does hits all alike. Figures are medians over the rounds; ratios are
medians of the ratios of each round. --peers installs torch into build/peers, once, and runs it beside the scans."""
import argparse
import json
import os
import sys
import tempfile

import growth
import scans
import text
from tools import ROOT, run

ROWS = {"text": text.measure, "scans": scans.measure, "grids": growth.grids, "growth": growth.measure}


def torch():
    """the python of a venv that has torch"""
    venv = os.path.join(ROOT, "build", "peers")
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(os.path.join(venv, "done")):
        print("installing torch and numpy into build/peers ..", file=sys.stderr)
        run([sys.executable, "-m", "venv", venv])
        run([python, "-m", "pip", "install", "--quiet", "torch", "numpy"])
        open(os.path.join(venv, "done"), "w").close()
    return python


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", nargs="*", metavar="ROWS")
    p.add_argument("--llama2c", default=os.environ.get("LLAMA2C"), metavar="RUN.C")
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--lengths", type=lambda s: [int(x) for x in s.split(",")], metavar="T,T")
    p.add_argument("--peers", action="store_true")
    p.add_argument("--json", metavar="FILE")
    o = p.parse_args()
    for name in o.rows:
        if name not in ROWS:
            p.error("there are no rows %s; there are %s" % (name, ", ".join(ROWS)))
    o.torch = torch() if o.peers else None
    figures = {}
    with tempfile.TemporaryDirectory() as tmp:
        for name in o.rows or ROWS:
            figures[name] = ROWS[name](o, tmp)
    if o.json:
        with open(o.json, "w") as f:
            json.dump(figures, f, indent=1)


if __name__ == "__main__":
    main()
