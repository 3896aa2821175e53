-- Linear attention. Katharopoulos et al. 2020, "Transformers are RNNs", eq. 16 to 20; features are applied before.
--   S_t = S_{t-1} + k_t v_t',  o_t = S_t' q_t  [ / (z_t . q_t + eps), z_t = z_{t-1} + k_t ]
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, normalize = false, eps = 1e-10 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local z0 = input("initial_norm", { B, H, K }, 0)
    local o, last = scan(T, { S = S0, z = z0 }, function(s)
      local S, z = s.S + k * v, s.z + k
      local o = dot(q * c.scale, S, K)
      if c.normalize then o = o / (dot(z, q * c.scale, K) + c.eps) end
      return o, { S = S, z = z }
    end)
    local out = { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
    if c.normalize then out.final_norm = last.z:as { B, H, K } end
    return out
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 4 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } },
      expect = function(x)                              -- o_t = sum over i <= t of (q_t . k_i) v_i
        return { o = function(b, t, h, d)
          local sum = 0
          for i = 0, t do
            for j = 0, x.size.K - 1 do sum = sum + x.q(b, t, h, j) * x.k(b, i, h, j) * x.v(b, i, h, d) end
          end
          return sum * x.size.K ^ -0.5
        end }
      end,
    },
  },
}
