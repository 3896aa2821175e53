-- Gated delta rule. Yang, Kautz, Hatamizadeh 2024, eq. 10: decay, read at k, write what is missing, read at q.
--   R = exp(g_t) S_{t-1},  S_t = R + k_t (beta_t (v_t - R' k_t))',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local beta, g = input("beta", { B, T, H }), input("g", { B, T, H })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local R = exp(g) * s.S
      local S = R + k * (beta * (v - dot(R, k, K)))
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 1, K = 2, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, beta = { random = 4, 0, 1 }, g = { random = 5, -1, 0 } },
      expect = function(x)                              -- the state as a list of numbers, step by step
        local n, m, o = x.size.K, x.size.V, {}
        local S = {}
        for i = 0, n * m - 1 do S[i] = 0 end
        for t = 0, x.size.T - 1 do
          for i = 0, n * m - 1 do S[i] = math.exp(x.g(0, t, 0)) * S[i] end
          for d = 0, m - 1 do
            local read = 0
            for i = 0, n - 1 do read = read + S[i * m + d] * x.k(0, t, 0, i) end
            for i = 0, n - 1 do
              S[i * m + d] = S[i * m + d] + x.k(0, t, 0, i) * x.beta(0, t, 0) * (x.v(0, t, 0, d) - read)
            end
            local out = 0
            for i = 0, n - 1 do out = out + S[i * m + d] * x.q(0, t, 0, i) end
            o[#o + 1] = out * n ^ -0.5
          end
        end
        return { o = o }
      end,
    },
  },
}
