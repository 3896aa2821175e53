-- Lightning attention as MiniMax-01 has it (2025, section 2.2): slopes of ALiBi, scaled by the depth of the layer.
--   S_t = exp(-s_h) S_{t-1} + k_t v_t',  s_h = 2^(-8(h+1)/H) (1 - layer/(layers - 1 + 1e-5) + 1e-5),  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { layer_idx = 0, num_layers = 2 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local depth = 1 - c.layer_idx / (c.num_layers - 1 + 1e-5) + 1e-5
    local a = exp(-depth * pow(2.0, (iota(H) + 1) * (-8 / size(H))))
    local o, last = scan(T, { S = S0 }, function(s)
      local S = a * s.S + k * v
      return dot(q, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
