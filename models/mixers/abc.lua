-- Attention with bounded memory control. Peng et al. 2022, eq. 7 and 8: M slots, written by a softmax over time.
--   z_t = log sum over i <= t of exp(s_i), kept as a running log-sum-exp;  two chained states, softmax over the slots between them
local B, T, H, K, V, M = axes "B T H K V M"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, s = input("v", { B, T, H, V }), input("s", { B, T, H, M })
    local start = { z = full({ B, H, M }, -inf), K = zeros { B, H, K, M }, V = zeros { B, H, M, V } }
    local o, last = scan(T, start, function(now)
      local m = maximum(now.z, s)
      local z = m + log(exp(now.z - m) + exp(s - m))
      local keep, write = exp(now.z - z), exp(s - z)
      local SK = keep * now.K + k * write
      local SV = keep * now.V + write * v
      local p = softmax(dot(q * c.scale, SK, K), M)
      return dot(p, SV, M), { z = z, K = SK, V = SV }
    end)
    return { o = o:as { B, T, H, V }, final_state_k = last.K:as { B, H, K, M }, final_state_v = last.V:as { B, H, M, V } }
  end,
}
