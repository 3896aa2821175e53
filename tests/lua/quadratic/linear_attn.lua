-- Linear attention as a masked product of scores and values, with and without its normaliser.
--   o_t = scale * (sum over j <= t of (q_t . k_j) v_j + q_t . S0)  [ / (sum over j <= t of q_t . k_j + q_t . z0, times scale, + eps) ]
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, normalize = false, eps = 1e-10 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }) * c.scale, input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local z0 = input("initial_norm", { B, H, K }, 0)
    local J = T:other()
    local scores = where(le(pos(J), pos(T)), dot(q, k:over(T, J), K), 0)
    local o = dot(scores, v:over(T, J), J) + dot(q, S0, K)
    if c.normalize then o = o / (sum(scores, J) + dot(q, z0, K) + c.eps) end
    return { o = o:as { B, T, H, V } }
  end,
}
