-- Kimi delta attention. Kimi Team 2025, "Kimi Linear", eq. 1: the gated delta rule with a decay for each key channel.
--   R = diag(exp(g_t)) S_{t-1},  S_t = R + k_t (beta_t (v_t - R' k_t))',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, g, beta = input("v", { B, T, H, V }), input("g", { B, T, H, K }), input("beta", { B, T, H })
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local R = exp(g) * s.S
      local S = R + k * (beta * (v - dot(R, k, K)))
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -2, 0 }, beta = { random = 5, 0, 1 }, initial_state = { random = 6 },
      },
      expect = function(x)
        local n, S = x.size.K, nil
        local function kept(b, t, h, k, d) return math.exp(x.g(b, t, h, k)) * S(b, t - 1, h, k, d) end
        local stored = memo(function(b, t, h, d) return total(n, function(k) return kept(b, t, h, k, d) * x.k(b, t, h, k) end) end)
        S = memo(function(b, t, h, k, d)
          if t < 0 then return x.initial_state(b, h, k, d) end
          return kept(b, t, h, k, d) + x.k(b, t, h, k) * x.beta(b, t, h) * (x.v(b, t, h, d) - stored(b, t, h, d))
        end)
        return {
          o = function(b, t, h, d) return n ^ -0.5 * total(n, function(k) return x.q(b, t, h, k) * S(b, t, h, k, d) end) end,
          final_state = function(b, h, k, d) return S(b, x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
