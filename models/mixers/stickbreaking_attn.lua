-- Stick-breaking attention. Tan et al. 2024, eq. 3: each query breaks a stick, beginning with the nearest key.
--   o_t = sum over i < t of b_ti prod over i < j < t of (1 - b_tj) v_i,  b_ti = sigmoid(q_t . k_i);  rest_t = what remains of the stick
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, attend_current = false },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local J = T:other()
    local score = dot(q * c.scale, k:over(T, J), K)
    local seen = c.attend_current and le(pos(J), pos(T)) or lt(pos(J), pos(T))
    local miss = where(seen, logsigmoid(-score), 0)                        -- log (1 - b)
    local after = cumsum_back(miss, J) - miss                              -- summed over later keys
    local p = where(seen, exp(logsigmoid(score) + after), 0)
    return { o = dot(p, v:over(T, J), J):as { B, T, H, V }, rest = exp(sum(miss, J)):as { B, T, H } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1, -2, 2 }, k = { random = 2 }, v = { random = 3 } },
      expect = function(x)
        local K = x.size.K
        local function b(t, i, h) return 1 / (1 + math.exp(-K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * x.k(0, i, h, k) end))) end
        local function left(t, i, h)                    -- of the stick, once keys from i on have broken off theirs
          local r = 1
          for j = i, t - 1 do r = r * (1 - b(t, j, h)) end
          return r
        end
        return {
          o = function(_, t, h, d) return total(t, function(i) return b(t, i, h) * left(t, i + 1, h) * x.v(0, i, h, d) end) end,
          rest = function(_, t, h) return left(t, 0, h) end,
        }
      end,
    },
  },
}
