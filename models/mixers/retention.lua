-- Retention. Sun et al. 2023, eq. 5 and 8: a decay per head, constant in time.
--   S_t = a_h S_{t-1} + k_t v_t',  a_h = 1 - 2^(-5-h),  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local a = 1 - pow(2.0, -5 - iota(H))
    local o, last = scan(T, { S = S0 }, function(s)
      local S = a * s.S + k * v
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
