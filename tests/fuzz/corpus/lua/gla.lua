-- Gated linear attention. Yang et al. 2023, eq. 3: every key channel has its own decay at every step.
--   S_t = diag(exp(gk_t)) S_{t-1} + k_t v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, gk = input("v", { B, T, H, V }), input("gk", { B, T, H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local S = exp(gk) * s.S + k * v
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 6, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, gk = { random = 4, -2, 0 }, initial_state = { random = 5 } },
      expect = function(x)
        local function decay(b, h, k, from, to)         -- of what was written at `from`, read at `to`
          local g = 0
          for t = from + 1, to do g = g + x.gk(b, t, h, k) end
          return math.exp(g)
        end
        local function state(b, t, h, k, v)
          local s = decay(b, h, k, -1, t) * x.initial_state(b, h, k, v)
          for i = 0, t do s = s + decay(b, h, k, i, t) * x.k(b, i, h, k) * x.v(b, i, h, v) end
          return s
        end
        return {
          final_state = function(b, h, k, v) return state(b, x.size.T - 1, h, k, v) end,
          o = function(b, t, h, v)
            local sum = 0
            for k = 0, x.size.K - 1 do sum = sum + x.q(b, t, h, k) * state(b, t, h, k, v) end
            return sum * x.size.K ^ -0.5
          end,
        }
      end,
    },
  },
}
