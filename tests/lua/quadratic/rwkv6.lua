-- RWKV-6 as sums of products: what j wrote has decayed by the gates of the steps between j and t when t reads it; position t
-- itself counts u times.
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local r, k = input("r", { B, T, H, K }), input("k", { B, T, H, K })
    local v, w, u = input("v", { B, T, H, V }), input("w", { B, T, H, K }), input("u", { H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local J, G = T:other(), cumsum(w, T)
    local before = shift(G, T, 1)
    local D = exp(where(lt(pos(J), pos(T)), before - G:over(T, J), -inf))
    local o = dot(sum(D * r * k:over(T, J), K), v:over(T, J), J)
    return { o = (o + dot(exp(before) * r, S0, K) + dot(r * u, k, K) * v):as { B, T, H, V } }
  end,
}
