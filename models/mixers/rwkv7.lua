-- RWKV-7. Peng et al. 2025, "Goose", eq. 15: decay, removal at kk with strength a, write, read.
--   S_t = diag(exp(w_t)) S_{t-1} - (a_t * kk_t) (S_{t-1}' kk_t)' + k_t v_t',  o_t = S_t' r_t
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local r, w, k = input("r", { B, T, H, K }), input("w", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local kk, a = input("kk", { B, T, H, K }), input("a", { B, T, H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local S = exp(w) * s.S - a * kk * dot(s.S, kk, K) + k * v
      return dot(r, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        r = { random = 1 }, w = { random = 2, -2, 0 }, k = { random = 3 }, v = { random = 4 }, kk = { random = 5 }, a = { random = 6, 0, 1 },
        initial_state = { random = 7 },
      },
      expect = function(x)
        local S
        local removed = memo(function(b, t, h, d) return total(x.size.K, function(k) return S(b, t - 1, h, k, d) * x.kk(b, t, h, k) end) end)
        S = memo(function(b, t, h, k, d)
          if t < 0 then return x.initial_state(b, h, k, d) end
          return math.exp(x.w(b, t, h, k)) * S(b, t - 1, h, k, d) - x.a(b, t, h, k) * x.kk(b, t, h, k) * removed(b, t, h, d)
            + x.k(b, t, h, k) * x.v(b, t, h, d)
        end)
        return {
          o = function(b, t, h, d) return total(x.size.K, function(k) return x.r(b, t, h, k) * S(b, t, h, k, d) end) end,
          final_state = function(b, h, k, d) return S(b, x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
