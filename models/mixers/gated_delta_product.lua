-- Gated DeltaProduct. Siems et al. 2025, "DeltaProduct", eq. 5 and section 3: several delta rules a step, one after the other, so that the
-- transition is a product of as many reflections. N counts the writes of a step.
--   S <- exp(g_t) S_{t-1};  for each n: S <- S + k_tn (beta_tn (v_tn - S' k_tn))';  o_t = S' q_t
local B, T, N, H, K, V = axes "B T N H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, N, H, K })
    local v, beta = input("v", { B, T, N, H, V }), input("beta", { B, T, N, H })
    local g = input("g", { B, T, H })
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local S = exp(g) * s.S
      for n = 0, size(N) - 1 do
        local key = k:at(N, n)
        S = S + key * (beta:at(N, n) * (v:at(N, n) - dot(S, key, K)))
      end
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 4, N = 2, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, beta = { random = 4, 0, 2 }, g = { random = 5, -1, 0 }, initial_state = { random = 6 },
      },
      expect = function(x)                              -- S(t, n): after write n of step t; n = -1: after the decay
        local K, N, S = x.size.K, x.size.N, nil
        local function stored(t, n, h, d) return total(K, function(k) return S(t, n - 1, h, k, d) * x.k(0, t, n, h, k) end) end
        S = memo(function(t, n, h, k, d)
          if t < 0 then return x.initial_state(0, h, k, d) end
          if n < 0 then return math.exp(x.g(0, t, h)) * S(t - 1, N - 1, h, k, d) end
          return S(t, n - 1, h, k, d) + x.k(0, t, n, h, k) * x.beta(0, t, n, h) * (x.v(0, t, n, h, d) - stored(t, n, h, d))
        end)
        return {
          o = function(_, t, h, d) return K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * S(t, N - 1, h, k, d) end) end,
          final_state = function(_, h, k, d) return S(x.size.T - 1, N - 1, h, k, d) end,
        }
      end,
    },
  },
}
