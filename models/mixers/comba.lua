-- Comba. Hu et al. 2025, "Comba: Improving Bilinear RNNs with Closed-loop Control", eq. 4 and 5: what is removed is read at another key than
-- what is written, and the output is corrected by what stands at the key.
--   S_t = exp(g_t) S_{t-1} + k_t (beta_t (v_t - exp(g_t) S_{t-1}' p_t))',  o_t = S_t' (q_t - d p_t)
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, p = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("p", { B, T, H, K })
    local v, g, beta = input("v", { B, T, H, V }), input("g", { B, T, H }), input("beta", { B, T, H })
    local out = (q - input("d", { H }) * p) * c.scale
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local R = exp(g) * s.S
      local S = R + k * (beta * (v - dot(R, p, K)))
      return dot(out, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, p = { random = 3 }, v = { random = 4 }, g = { random = 5, -1, 0 }, beta = { random = 6, 0, 1 }, d = { random = 7, 0, 1 },
      },
      expect = function(x)
        local n, S = x.size.K, nil
        local function kept(t, h, k, d) return math.exp(x.g(0, t, h)) * S(t - 1, h, k, d) end
        local stored = memo(function(t, h, d) return total(n, function(k) return kept(t, h, k, d) * x.p(0, t, h, k) end) end)
        S = memo(function(t, h, k, d)
          return t < 0 and 0 or kept(t, h, k, d) + x.k(0, t, h, k) * x.beta(0, t, h) * (x.v(0, t, h, d) - stored(t, h, d))
        end)
        return { o = function(_, t, h, d)
          return n ^ -0.5 * total(n, function(k) return (x.q(0, t, h, k) - x.d(h) * x.p(0, t, h, k)) * S(t, h, k, d) end)
        end }
      end,
    },
  },
}
