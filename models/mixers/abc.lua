-- Attention with bounded memory control. Peng et al. 2022, eq. 7 and 8: M slots, written by a softmax over time.
--   z_t = log sum over i <= t of exp(s_i), kept as a running log-sum-exp;  two chained states, softmax over the slots between them
local B, T, H, K, V, M = axes "B T H K V M"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, s = input("v", { B, T, H, V }), input("s", { B, T, H, M })
    local start = { z = full({ B, H, M }, -inf), K = zeros { B, H, K, M }, V = zeros { B, H, M, V } }
    local o, last = scan(T, start, function(now)
      local m = maximum(now.z, s)
      local z = m + log(exp(now.z - m) + exp(s - m))
      local keep, write = exp(now.z - z), exp(s - z)
      local SK = keep * now.K + k * write
      local SV = keep * now.V + write * v
      local p = softmax(dot(q * c.scale, SK, K), M)
      return dot(p, SV, M), { z = z, K = SK, V = SV }
    end)
    return { o = o:as { B, T, H, V }, final_state_k = last.K:as { B, H, K, M }, final_state_v = last.V:as { B, H, M, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2, M = 3 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, s = { random = 4, -3, 3 } },
      expect = function(x)                              -- slots are means of all keys and values, weighted by exp(s)
        local K, V, M = x.size.K, x.size.V, x.size.M
        local function slot(t, h, m, f)
          local function w(i) return math.exp(x.s(0, i, h, m)) end
          return total(t + 1, function(i) return w(i) * f(i) end) / total(t + 1, w)
        end
        local p = memo(function(t, h, m)
          return math.exp(K ^ -0.5 * total(K, function(k)
            return x.q(0, t, h, k) * slot(t, h, m, function(i) return x.k(0, i, h, k) end)
          end))
        end)
        return { o = function(_, t, h, d)
          local function value(i) return x.v(0, i, h, d) end
          return total(M, function(m) return p(t, h, m) * slot(t, h, m, value) end) / total(M, function(m) return p(t, h, m) end)
        end }
      end,
    },
  },
}
