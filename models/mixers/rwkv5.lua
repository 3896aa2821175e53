-- RWKV-5. Peng et al. 2024, "Eagle and Finch", eq. 16: matrix state, read before the write, with a bonus u for the current token.
--   o_t = (S_{t-1} + diag(u) k_t v_t')' r_t,  S_t = diag(exp(w)) S_{t-1} + k_t v_t'
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local r, k = input("r", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local w, u = input("w", { H, K }), input("u", { H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local kv = k * v
      return dot(s.S + u * kv, r, K), { S = exp(w) * s.S + kv }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = { r = { random = 1 }, k = { random = 2 }, v = { random = 3 }, w = { random = 4, -2, 0 }, u = { random = 5 }, initial_state = { random = 6 } },
      expect = function(x)
        local S
        S = memo(function(b, t, h, k, d)                -- before step t
          if t == 0 then return x.initial_state(b, h, k, d) end
          return math.exp(x.w(h, k)) * S(b, t - 1, h, k, d) + x.k(b, t - 1, h, k) * x.v(b, t - 1, h, d)
        end)
        return {
          o = function(b, t, h, d)
            return total(x.size.K, function(k)
              return x.r(b, t, h, k) * (S(b, t, h, k, d) + x.u(h, k) * x.k(b, t, h, k) * x.v(b, t, h, d))
            end)
          end,
          final_state = function(b, h, k, d) return S(b, x.size.T, h, k, d) end,
        }
      end,
    },
  },
}
