-- ReBased. Aksenov et al. 2024, eq. 5: the square of the score, as a state over pairs of key channels.
--   o_t = sum over i <= t of (q_t . k_i)^2 v_i [ / (sum of (q_t . k_i)^2 + eps) ]
-- Where few scores make up the divisor and all are small, their squares over pairs of channels cancel badly in f32: the last W positions
-- are squared as they stand, the state holds those before.
local B, T, H, K, V = axes "B T H K V"
local L, W = axis "K2", axis("last", 8)

return model {
  config = { scale = function() return size(K) ^ -0.5 end, normalize = true, eps = 1e-6 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }) * c.scale, input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local near = dot(q, window(k, T, W), K)
    local p, nv = near * near, window(v, T, W)
    local old, ov = shift(k, T, size(W)), shift(v, T, size(W))
    local q2, k2 = q * q:over(K, L), old * old:over(K, L)
    local o = scan(T, { S = zeros { B, H, K, L, V }, z = zeros { B, H, K, L } }, function(s)
      local S, z = s.S + k2 * ov, s.z + k2
      local o = dot(q2, S, K, L) + dot(p, nv, W)
      if c.normalize then o = o / (dot(q2, z, K, L) + sum(p, W) + c.eps) end
      return o, { S = S, z = z }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 11, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } },
      expect = function(x)
        local K = x.size.K
        local function p(b, t, i, h)
          local s = K ^ -0.5 * total(K, function(k) return x.q(b, t, h, k) * x.k(b, i, h, k) end)
          return s * s
        end
        return { o = function(b, t, h, d)
          local all = total(t + 1, function(i) return p(b, t, i, h) end)
          return total(t + 1, function(i) return p(b, t, i, h) * x.v(b, i, h, d) end) / (all + 1e-6)
        end }
      end,
    },
  },
}
