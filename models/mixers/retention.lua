-- Retention. Sun et al. 2023, eq. 5 and 8: a decay per head, constant in time.
--   S_t = a_h S_{t-1} + k_t v_t',  a_h = 1 - 2^(-5-h),  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local a = 1 - pow(2.0, -5 - iota(H))
    local o, S = gated_scan(q * c.scale, k, v, a, T, K, input("initial_state", { B, H, K, V }, 0))
    return { o = o:as { B, T, H, V }, final_state = S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, initial_state = { random = 4 } },
      expect = function(x)
        local K = x.size.K
        local function a(h) return 1 - 2 ^ (-5 - h) end
        local function o(b, t, h, d)
          return total(K, function(k)
            local first = a(h) ^ (t + 1) * x.initial_state(b, h, k, d)
            return x.q(b, t, h, k) * total(t + 1, function(i) return a(h) ^ (t - i) * x.k(b, i, h, k) * x.v(b, i, h, d) end) + x.q(b, t, h, k) * first
          end)
        end
        return { o = function(b, t, h, d) return K ^ -0.5 * o(b, t, h, d) end }
      end,
    },
  },
}
