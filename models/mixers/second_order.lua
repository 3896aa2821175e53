-- Second-order linear attention. Zhang et al. 2025, "Higher-order Linear Attention", section 3: a query meets the moments of the keys, then what the queries
-- wrote. Three states, one is written from a read of another, an output multiplies two.
--   M_t = a M_{t-1} + k_t k_t',  C_t = a C_{t-1} + q_t v_t',  G_t = a^2 G_{t-1} + k_t (k_t' a C_{t-1});  o_t = q_t' (M_t C_t - G_t)
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g = input("g", { B, T, H })
    local J = axis("J", size(K))
    local a = exp(g)
    local start = { M = zeros { B, H, K, J }, C = zeros { B, H, K, V }, G = zeros { B, H, K, V } }
    local o = scan(T, start, function(s)
      local before = a * s.C
      local M = a * s.M + k * k:over(K, J)
      local G = a * a * s.G + k * dot(k, before, K)
      local C = before + q * v
      return dot(dot(q, M, K), C:over(K, J), J) - dot(q, G, K), { M = M, C = C, G = G }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -1, 0 } },
      expect = function(x)                              -- ((L * Q K') (L * Q K')' * L) V, where the second query is not after the key
        local K = x.size.K
        local function kept(t, i, h) return math.exp(total(t - i, function(j) return x.g(0, i + 1 + j, h) end)) end
        local function dots(a, t, b, i, h) return total(K, function(k) return a(0, t, h, k) * b(0, i, h, k) end) end
        return {
          o = function(_, t, h, d)
            return total(t + 1, function(i)             -- the key
              return total(t + 1, function(j)           -- the query that wrote
                if j < i then return 0 end
                return kept(t, i, h) * kept(t, j, h) * dots(x.q, t, x.k, i, h) * dots(x.k, i, x.q, j, h) * x.v(0, j, h, d)
              end)
            end)
          end,
        }
      end,
    },
  },
}
