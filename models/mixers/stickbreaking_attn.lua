-- Stick-breaking attention. Tan et al. 2024, eq. 3: each query breaks a stick, beginning with the nearest key.
--   o_t = sum over i < t of b_ti prod over i < j < t of (1 - b_tj) v_i,  b_ti = sigmoid(q_t . k_i);  rest_t = what remains of the stick
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, attend_current = false },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local J = T:other()
    local score = dot(q * c.scale, k:over(T, J), K)
    local seen = c.attend_current and le(pos(J), pos(T)) or lt(pos(J), pos(T))
    local miss = where(seen, logsigmoid(-score), 0)                        -- log (1 - b)
    local after = cumsum_back(miss, J) - miss                              -- summed over later keys
    local p = where(seen, exp(logsigmoid(score) + after), 0)
    return { o = dot(p, v:over(T, J), J):as { B, T, H, V }, rest = exp(sum(miss, J)):as { B, T, H } }
  end,
}
