-- Gated slot attention. Zhang et al. 2024, eq. 7: M slots with their own decay; two chained states, softmax between them.
--   SK_t = SK_{t-1} diag(exp(g_t)) + k_t s_t',  p_t = softmax(SK_t' q_t),  SV_t = diag(exp(g_t)) SV_{t-1} + s_t v_t',  o_t = SV_t' p_t
local B, T, Q, H, G, K, V, M = axes "B T Q H G K V M"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local k, v = input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local s, g = input("s", { B, T, H, M }), input("g", { B, T, H, M })
    local q = input("q", { B, T, Q, K }):split(Q, { H, G })                -- groups of query heads share a key head
    local K0, V0 = input("initial_state_k", { B, H, K, M }, 0), input("initial_state_v", { B, H, M, V }, 0)
    local o, last = scan(T, { K = K0, V = V0 }, function(now)
      local SK = exp(g) * now.K + k * s
      local SV = exp(g) * now.V + s * v
      local p = softmax(dot(q * c.scale, SK, K), M)
      return dot(p, SV, M), { K = SK, V = SV }
    end)
    return {
      o = o:merge({ H, G }, Q):as { B, T, Q, V },
      final_state_k = last.K:as { B, H, K, M }, final_state_v = last.V:as { B, H, M, V },
    }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, Q = 4, H = 2, K = 3, V = 2, M = 3 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, s = { random = 4 }, g = { random = 5, -2, 0 } },
      expect = function(x)
        local K, M = x.size.K, x.size.M
        local function slot(t, h, m, f)                 -- the sum of what was written, decayed
          return total(t + 1, function(i)
            return math.exp(total(t - i, function(j) return x.g(0, i + 1 + j, h, m) end)) * x.s(0, i, h, m) * f(i)
          end)
        end
        local p = memo(function(t, q, m)
          return math.exp(K ^ -0.5 * total(K, function(k)
            return x.q(0, t, q, k) * slot(t, q // 2, m, function(i) return x.k(0, i, q // 2, k) end)
          end))
        end)
        return { o = function(_, t, q, d)
          local function value(i) return x.v(0, i, q // 2, d) end
          return total(M, function(m) return p(t, q, m) * slot(t, q // 2, m, value) end) / total(M, function(m) return p(t, q, m) end)
        end }
      end,
    },
  },
}
