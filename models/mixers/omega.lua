-- A memory that learns from a window. Behrouz et al. 2025, "Atlas", eq. 9 (the Omega rule) with a linear memory: each step takes the gradient of the
-- errors of the last W tokens, weighed by gates, at the memory as it is. Three reads and three writes a step for W = 3.
--   S_t = alpha_t S_{t-1} - sum over i < W of gamma_{t-i} k_{t-i} (S_{t-1}' k_{t-i} - v_{t-i})',  o_t = S_t' q_t
local B, T, H, K, V, W = axes "B T H K V W"

return model {
  config = { window = range(3, 1, 64), rate = 0.5, scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local alpha, gamma = input("alpha", { B, T, H }), input("gamma", { B, T, H })
    local W = axis("W", c.window)
    local keys, values, gates = window(k, T, W), window(v, T, W), window(gamma, T, W)
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local miss = gates * (dot(keys, s.S, K) - values)
      local S = alpha * s.S - c.rate * dot(keys, miss, W)
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 6, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, alpha = { random = 4, 0, 1 }, gamma = { random = 5, 0, 1 }, initial_state = { random = 6 },
      },
      expect = function(x)
        local K, S = x.size.K, nil
        local function miss(t, i, h, d) return total(K, function(k) return S(t - 1, h, k, d) * x.k(0, i, h, k) end) - x.v(0, i, h, d) end
        S = memo(function(t, h, k, d)
          if t < 0 then return x.initial_state(0, h, k, d) end
          local step = total(math.min(3, t + 1), function(n) return x.gamma(0, t - n, h) * x.k(0, t - n, h, k) * miss(t, t - n, h, d) end)
          return x.alpha(0, t, h) * S(t - 1, h, k, d) - 0.5 * step
        end)
        return {
          o = function(_, t, h, d) return K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end,
          final_state = function(_, h, k, d) return S(x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
