-- MesaNet. von Oswald et al. 2025, "MesaNet: Sequence Modeling by Locally Optimal Test-Time Training", eq. 6 and section 3: the output is read at
-- the key that solves the least-squares problem of all that was seen, found by a few conjugate gradient steps.
--   H_t = exp(g_t) H_{t-1} + beta_t k_t k_t',  G_t = exp(g_t) G_{t-1} + beta_t k_t v_t',  o_t = G_t' (H_t + diag(lambda))^-1 q_t
local B, T, H, K, V = axes "B T H K V"
local L = axis "K2"

return model {
  config = { steps = range(4, 1, 64) },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g, beta, lambda = input("g", { B, T, H }), input("beta", { B, T, H }), input("lambda", { H, K })
    axis("K2", size(K))
    local o = scan(T, { H = zeros { B, H, L, K }, G = zeros { B, H, K, V } }, function(s)
      local A = exp(g) * s.H + beta * k:over(K, L) * k
      local G = exp(g) * s.G + beta * k * v
      local function apply(x) return dot(A, x, K):over(L, K) + lambda * x end
      local x, r = 0 * q, q                                              -- conjugate gradients, unrolled
      local p, rr = r, dot(r, r, K)
      for _ = 1, c.steps do
        local Ap = apply(p)
        local a = rr / (dot(p, Ap, K) + 1e-30)
        x, r = x + a * p, r - a * Ap
        local now = dot(r, r, K)
        p, rr = r + now / (rr + 1e-30) * p, now
      end
      return dot(x, G, K), { H = A, G = G }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    exact = {                                          -- as many steps as channels solve the system
      config = { steps = 2 },
      sizes = { B = 1, T = 5, H = 2, K = 2, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -1, 0 }, beta = { random = 5, 0, 1 }, lambda = { random = 6, 0.25, 1 },
      },
      expect = function(x)
        local function kept(t, i, h) return x.beta(0, i, h) * math.exp(total(t - i, function(j) return x.g(0, i + 1 + j, h) end)) end
        local function A(t, h, a, b)
          return total(t + 1, function(i) return kept(t, i, h) * x.k(0, i, h, a) * x.k(0, i, h, b) end) + (a == b and x.lambda(h, a) or 0)
        end
        return { o = function(_, t, h, d)
          local det = A(t, h, 0, 0) * A(t, h, 1, 1) - A(t, h, 0, 1) ^ 2
          local y = { [0] = (A(t, h, 1, 1) * x.q(0, t, h, 0) - A(t, h, 0, 1) * x.q(0, t, h, 1)) / det,
            (A(t, h, 0, 0) * x.q(0, t, h, 1) - A(t, h, 0, 1) * x.q(0, t, h, 0)) / det }
          return total(t + 1, function(i)
            return kept(t, i, h) * (y[0] * x.k(0, i, h, 0) + y[1] * x.k(0, i, h, 1)) * x.v(0, i, h, d)
          end)
        end }
      end,
    },
  },
}
