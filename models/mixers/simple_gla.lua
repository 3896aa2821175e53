-- Gated linear attention with one decay per head and step (Mamba-2's form).
--   S_t = exp(g_t) S_{t-1} + k_t v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, g = input("v", { B, T, H, V }), input("g", { B, T, H })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local S = exp(g) * s.S + k * v
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
