-- Lightning attention. Qin et al. 2024, "TransNormerLLM", eq. 9: slopes that grow with the head and shrink with the layer.
--   S_t = exp(-(8/H)(1 - layer/layers) h) S_{t-1} + k_t v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, layer_idx = 0, num_layers = 1 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local a = exp(iota(H) * (-8 / size(H) * (1 - c.layer_idx / c.num_layers)))
    local o, last = scan(T, { S = S0 }, function(s)
      local S = a * s.S + k * v
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
