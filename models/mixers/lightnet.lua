-- Causal efficient attention. Shen et al. 2018, "Efficient Attention", eq. 3, over what was seen; as a recurrence Qin et al. 2024, "You Only
-- Scan Once": keys are a softmax over the positions so far, so that each key channel makes its own gate.
--   z_t = log sum over i <= t of exp(k_i),  S_t = diag(exp(z_{t-1} - z_t)) S_{t-1} + exp(k_t - z_t) v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local o = scan(T, { z = full({ B, H, K }, -inf), S = zeros { B, H, K, V } }, function(s)
      local m = maximum(s.z, k)
      local z = m + log(exp(s.z - m) + exp(k - m))
      local S = exp(s.z - z) * s.S + exp(k - z) * v
      return dot(q, S, K), { z = z, S = S }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2, -3, 3 }, v = { random = 3 } },
      expect = function(x)
        local function mean(t, h, k, d)
          local function w(i) return math.exp(x.k(0, i, h, k)) end
          return total(t + 1, function(i) return w(i) * x.v(0, i, h, d) end) / total(t + 1, w)
        end
        return { o = function(_, t, h, d) return total(x.size.K, function(k) return x.q(0, t, h, k) * mean(t, h, k, d) end) end }
      end,
    },
  },
}
