-- Gated linear attention with one decay per head and step (Mamba-2's form).
--   S_t = exp(g_t) S_{t-1} + k_t v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, g = input("v", { B, T, H, V }), input("g", { B, T, H })
    local o, S = gated_scan(q * c.scale, k, v, exp(g), T, K, input("initial_state", { B, H, K, V }, 0))
    return { o = o:as { B, T, H, V }, final_state = S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -2, 0 } },
      expect = function(x)                              -- as masked attention
        local K = x.size.K
        local function score(b, t, i, h)
          local kept = math.exp(total(t - i, function(j) return x.g(b, i + 1 + j, h) end))
          return kept * K ^ -0.5 * total(K, function(k) return x.q(b, t, h, k) * x.k(b, i, h, k) end)
        end
        return { o = function(b, t, h, d) return total(t + 1, function(i) return score(b, t, i, h) * x.v(b, i, h, d) end) end }
      end,
    },
  },
}
