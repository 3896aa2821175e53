-- Log-linear attention, level by level. Guo et al. 2025, "Log-Linear Attention", eq. 6 to 9: the same as log_linear.lua, with a delta rule (section 3.4),
-- written as one does it by hand: when 2^b is the lowest set bit of t, levels 0 .. b go into level b + 1 and become empty; then every level forgets and is corrected.
--   S_l <- exp(g_t) (I - beta_t k_t k_t') S_l;  level 0 = beta_t k_t v_t';  o_t = sum over l of lam_tl S_l' q_t
local B, T, H, K, V, L = axes "B T H K V L"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g, beta, lam = input("g", { B, T, H }), input("beta", { B, T, H }), input("lam", { B, T, H, L })
    local lowest = pos(T) & -pos(T)
    local o = scan(T, { S = zeros { B, H, L, K, V } }, function(s)
      local levels, sum = { zeros { B, H, K, V } }, 0
      for l = 0, size(L) - 2 do
        sum = sum + s.S:at(L, l)
        levels[l + 2] = where(eq(lowest, 1 << l), sum, where(gt(lowest, 1 << l), 0, s.S:at(L, l + 1)))
      end
      local S = exp(g) * stack(L, levels)
      S = S - beta * k * dot(k, S, K) + where(eq(iota(L), 0), beta * k * v, 0)
      return dot(q * c.scale, dot(lam, S, L), K), { S = S }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 7, H = 2, K = 2, V = 2, L = 4 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -1, 0 }, beta = { random = 5, 0, 1 }, lam = { random = 6 },
      },
      expect = function(x)                              -- what position i wrote, as it is at t, weighed by the level in which t sees it
        local K = x.size.K
        local function level(t, i)
          if i == t then return 0 end
          local at, l = 0, 3
          while at + (t >> l - 1 & 1) * 2 ^ (l - 1) <= i do
            at, l = at + (t >> l - 1 & 1) * 2 ^ (l - 1), l - 1
          end
          return l
        end
        local kept
        kept = memo(function(i, t, h, k)                -- the key of i
          if t == i then return x.beta(0, i, h) * x.k(0, i, h, k) end
          local seen = total(K, function(j) return x.k(0, t, h, j) * kept(i, t - 1, h, j) end)
          return math.exp(x.g(0, t, h)) * (kept(i, t - 1, h, k) - x.beta(0, t, h) * x.k(0, t, h, k) * seen)
        end)
        local function weight(t, i, h)
          return x.lam(0, t, h, level(t, i)) * K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * kept(i, t, h, k) end)
        end
        return { o = function(_, t, h, d) return total(t + 1, function(i) return weight(t, i, h) * x.v(0, i, h, d) end) end }
      end,
    },
  },
}
