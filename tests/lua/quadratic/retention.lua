-- Retention in its parallel form: Sun et al. 2023, eq. 5, D[t][j] = a_h^(t-j) where j <= t, else 0.
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local J = T:other()
    local a = 1 - pow(2.0, -5 - iota(H))
    local D = where(le(pos(J), pos(T)), pow(a, pos(T) - pos(J)), 0)
    local o = dot(dot(q, k:over(T, J), K) * D, v:over(T, J), J)
    return { o = (c.scale * (o + pow(a, pos(T) + 1) * dot(q, S0, K))):as { B, T, H, V } }
  end,
}
