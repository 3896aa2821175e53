-- Based. Arora et al. 2024, eq. 3: the Taylor expansion of exp as the feature map, kept as three states.
--   o_t = sum over i <= t of p_ti v_i [ / (sum of p_ti + eps) ],  p = 1 + x + x^2 / 2,  x = q_t . k_i
local B, T, H, K, V = axes "B T H K V"
local L = axis "K2"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, normalize = true, eps = 1e-6 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }) * c.scale, input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local q2, k2 = q * q:over(K, L), k * k:over(K, L)
    local start = {
      v0 = zeros { B, H, V }, v1 = zeros { B, H, K, V }, v2 = zeros { B, H, K, L, V },
      z0 = zeros { B, H }, z1 = zeros { B, H, K }, z2 = zeros { B, H, K, L },
    }
    local o = scan(T, start, function(s)
      local v0, v1, v2 = s.v0 + v, s.v1 + k * v, s.v2 + k2 * v
      local z0, z1, z2 = s.z0 + 1, s.z1 + k, s.z2 + k2
      local o = v0 + dot(q, v1, K) + dot(q2, v2, K, L) / 2
      if c.normalize then o = o / (z0 + dot(q, z1, K) + dot(q2, z2, K, L) / 2 + c.eps) end
      return o, { v0 = v0, v1 = v1, v2 = v2, z0 = z0, z1 = z1, z2 = z2 }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } },
      expect = function(x)
        local K = x.size.K
        local function p(b, t, i, h)
          local s = K ^ -0.5 * total(K, function(k) return x.q(b, t, h, k) * x.k(b, i, h, k) end)
          return 1 + s + s * s / 2
        end
        return { o = function(b, t, h, d)
          local all = total(t + 1, function(i) return p(b, t, i, h) end)
          return total(t + 1, function(i) return p(b, t, i, h) * x.v(b, i, h, d) end) / (all + 1e-6)
        end }
      end,
    },
  },
}
