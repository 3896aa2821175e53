-- Gated linear attention with a decay for each key channel: the scores are sums of products that decay each in its own way.
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, gk = input("v", { B, T, H, V }), input("gk", { B, T, H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local J, G = T:other(), cumsum(gk, T)
    local D = exp(where(le(pos(J), pos(T)), G - G:over(T, J), -inf))
    local o = dot(sum(D * q * k:over(T, J), K), v:over(T, J), J)
    return { o = (c.scale * (o + dot(exp(G) * q, S0, K))):as { B, T, H, V } }
  end,
}
