-- Log-linear attention. Guo et al. 2025, "Log-Linear Attention", eq. 6 to 9, with a gate: what was seen is kept in levels, as in a Fenwick
-- tree, and the output weighs them. Level 0 holds position t; level l holds 2^(l-1) positions if that bit of t is set, the longest first.
--   levels 0 .. b become one, level b + 1, where 2^b is the lowest set bit of t;  all levels decay;  level 0 = k_t v_t'
--   o_t = sum over l of lam_tl (level l)' q_t.  L levels serve 2^(L-1) positions.
local B, T, H, K, V, L, M = axes "B T H K V L M"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g, lam = input("g", { B, T, H }), input("lam", { B, T, H, L })
    local one = full({}, 1, int)
    local lowest = pos(T) & -pos(T)
    local function joins(l) return eq(l, 0) | lt(one << maximum(l - 1, 0), lowest) end
    local from = axis("M", size(L))
    local grows = eq(one << iota(L), 2 * lowest)                         -- the level that takes what joins; another stays, or is emptied
    local A = where(where(grows, joins(iota(M)), eq(iota(L), iota(M)) & ~joins(iota(L))), exp(g), 0)
    local o = scan(T, { S = zeros { B, H, L, K, V } }, function(s)
      local S = dot(A, s.S:over(L, from), from) + where(eq(iota(L), 0), k * v, 0)
      return dot(q * c.scale, dot(lam, S, L), K), { S = S }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 7, H = 2, K = 2, V = 2, L = 4 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -1, 0 }, lam = { random = 5 } },
      expect = function(x)                              -- as attention whose weights depend on the level of each position
        local K = x.size.K
        local function level(t, i)                      -- of position i, seen from t: cut t into powers of 2, the longest first
          if i == t then return 0 end
          local at, l = 0, 3
          while at + (t >> l - 1 & 1) * 2 ^ (l - 1) <= i do
            at, l = at + (t >> l - 1 & 1) * 2 ^ (l - 1), l - 1
          end
          return l
        end
        local function weight(t, i, h)
          local kept = math.exp(total(t - i, function(j) return x.g(0, i + 1 + j, h) end))
          return x.lam(0, t, h, level(t, i)) * kept * K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * x.k(0, i, h, k) end)
        end
        return { o = function(_, t, h, d) return total(t + 1, function(i) return weight(t, i, h) * x.v(0, i, h, d) end) end }
      end,
    },
  },
}
