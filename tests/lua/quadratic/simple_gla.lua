-- Gated linear attention with one decay per head and step: the sum of gates between j and t decays what j wrote.
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, g = input("v", { B, T, H, V }), input("g", { B, T, H })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local J, G = T:other(), cumsum(g, T)
    local D = exp(where(le(pos(J), pos(T)), G - G:over(T, J), -inf))
    local o = dot(D * dot(q, k:over(T, J), K), v:over(T, J), J)
    return { o = (c.scale * (o + exp(G) * dot(q, S0, K))):as { B, T, H, V } }
  end,
}
