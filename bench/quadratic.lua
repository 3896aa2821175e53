-- Linear attention as it is written in its paper: all scores, a causal mask, no softmax. Time must be linear nevertheless.
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local J = T:other()
    local p = where(le(pos(J), pos(T)), dot(elu1(q), elu1(k):over(T, J), K), 0)
    return { o = dot(p, v:over(T, J), J):as { B, T, H, V } }
  end,
}
