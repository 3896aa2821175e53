-- Delta rule. Schlag et al. 2021, eq. 24; Yang et al. 2024: the write replaces what is stored at k.
--   S_t = S_{t-1} + k_t (beta_t * (v_t - S_{t-1}' k_t))',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local beta = input("beta", { { B, T, H }, { B, T, H, V } })            -- per head, or per value channel
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local S = s.S + k * (beta * (v - dot(s.S, k, K)))
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, beta = { random = 4, 0, 2 }, initial_state = { random = 5 } },
      expect = function(x)
        local K = x.size.K
        local S
        local function stored(b, t, h, d) return total(K, function(k) return S(b, t, h, k, d) * x.k(b, t + 1, h, k) end) end
        S = memo(function(b, t, h, k, d)
          if t < 0 then return x.initial_state(b, h, k, d) end
          return S(b, t - 1, h, k, d) + x.k(b, t, h, k) * x.beta(b, t, h) * (x.v(b, t, h, d) - stored(b, t - 1, h, d))
        end)
        return {
          o = function(b, t, h, d) return K ^ -0.5 * total(K, function(k) return x.q(b, t, h, k) * S(b, t, h, k, d) end) end,
          final_state = function(b, h, k, d) return S(b, x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
