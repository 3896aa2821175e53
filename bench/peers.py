"""torch eager, one thread, on the equations of scans.py: the chunked form, and the loop over steps. Runs in a venv of its own
(./dev bench --peers) as a server: a line with words separated by tabs asks, a line with a number answers."""
import sys
import time

import torch

import tools

torch.set_num_threads(1)
C = 64


def chunks(T):
    return ((a, min(a + C, T)) for a in range(0, T, C))


def scalar(x):
    """S <- exp(g) S + k v', o = S' q: scores of a chunk and a mask of decays"""
    q, k, v, g = x["q"], x["k"], x["v"], x["g"]
    S, out = torch.zeros(q.shape[0], q.shape[2], v.shape[2]), torch.empty_like(v)
    for a, b in chunks(q.shape[1]):
        L = g[:, a:b].cumsum(1)
        D = (L[:, :, None] - L[:, None, :]).tril().exp().tril()
        out[:, a:b] = (q[:, a:b] @ k[:, a:b].mT * D) @ v[:, a:b] + (q[:, a:b] * L.exp()[..., None]) @ S
        S = L[:, -1].exp()[:, None, None] * S + (k[:, a:b] * (L[:, -1:] - L).exp()[..., None]).mT @ v[:, a:b]
    return out


def vector(x):
    """S <- diag(exp(gk)) S + k v': both factors of the scores from the start of the chunk, which mild gates allow"""
    q, k, v, g = x["q"], x["k"], x["v"], x["gk"]
    S, out = torch.zeros(q.shape[0], q.shape[2], v.shape[2]), torch.empty_like(v)
    for a, b in chunks(q.shape[1]):
        L = g[:, a:b].cumsum(1)
        qd = q[:, a:b] * L.exp()
        out[:, a:b] = (qd @ (k[:, a:b] * (-L).exp()).mT).tril() @ v[:, a:b] + qd @ S
        S = L[:, -1].exp()[..., None] * S + (k[:, a:b] * (L[:, -1:] - L).exp()).mT @ v[:, a:b]
    return out


def delta(x):
    """R = exp(g) S, S <- R + k (beta (v - R' k))': the writes of a chunk solve a unit lower triangular system"""
    q, k, v, g, beta = x["q"], x["k"], x["v"], x["g"], x["beta"]
    S, out = torch.zeros(q.shape[0], q.shape[2], v.shape[2]), torch.empty_like(v)
    for a, b in chunks(q.shape[1]):
        qc, kc, vc, bc = q[:, a:b], k[:, a:b], v[:, a:b], beta[:, a:b, None]
        L = g[:, a:b].cumsum(1)
        D = (L[:, :, None] - L[:, None, :]).tril().exp().tril()
        A = torch.eye(b - a) + (bc * (kc @ kc.mT) * D).tril(-1)
        w = torch.linalg.solve_triangular(A, bc * (vc - (kc * L.exp()[..., None]) @ S), upper=False, unitriangular=True)
        out[:, a:b] = (qc @ kc.mT * D) @ w + (qc * L.exp()[..., None]) @ S
        S = L[:, -1].exp()[:, None, None] * S + (kc * (L[:, -1:] - L).exp()[..., None]).mT @ w
    return out


def steps(x):
    """one step after the other, all heads at once"""
    q, k, v = x["q"], x["k"], x["v"]
    decay = x["gk"].exp()[..., None] if "gk" in x else x["g"].exp()[..., None, None]
    S, out = torch.zeros(q.shape[0], q.shape[2], v.shape[2]), torch.empty_like(v)
    for t in range(q.shape[1]):
        S = decay[:, t] * S
        write = v[:, t]
        if "beta" in x:
            write = x["beta"][:, t, None] * (write - (k[:, t, None] @ S)[:, 0])
        S = S + k[:, t, :, None] * write[:, None]
        out[:, t] = (q[:, t, None] @ S)[:, 0]
    return out


FORMS = {"scalar decay": scalar, "vector decay": vector, "delta rule": delta}


def least(form, x, n):
    best = float("inf")
    for _ in range(n):
        start = time.perf_counter()
        form(x)
        best = min(best, time.perf_counter() - start)
    return best * 1e3


def main():
    x, form = {}, None
    for line in sys.stdin:
        ask, *words = line.rstrip("\n").split("\t")
        if ask == "load":
            form = FORMS[words[0]]
            x = {k: torch.tensor(v)[0].transpose(0, 1).contiguous() for k, v in tools.load(words[1]).items()}
            x["q"] *= x["q"].shape[-1] ** -0.5
            answer = 0
        elif ask == "compare":
            want = torch.tensor(tools.load(words[0])["o"])[0].transpose(0, 1)
            answer = max(((f(x) - want).abs().max() / want.abs().max()).item() for f in (form, steps))
        else:
            answer = least(steps if ask == "steps" else form, x, int(words[0]))
        print(answer, flush=True)


with torch.inference_mode():
    main()
