-- Based (Arora et al. 2024): scores through the Taylor series of exp, 1 + x + x^2/2, as weights.
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, normalize = true, eps = 1e-6 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }) * c.scale, input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local J = T:other()
    local x = dot(q, k:over(T, J), K)
    local p = where(le(pos(J), pos(T)), 1 + x + x ^ 2 / 2, 0)
    local o = dot(p, v:over(T, J), J)
    if c.normalize then o = o / (sum(p, J) + c.eps) end
    return { o = o:as { B, T, H, V } }
  end,
}
