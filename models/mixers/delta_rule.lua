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
}
