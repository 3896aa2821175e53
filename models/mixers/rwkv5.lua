-- RWKV-5. Peng et al. 2024, "Eagle and Finch", eq. 16: matrix state, read before the write, with a bonus u for the current token.
--   o_t = (S_{t-1} + diag(u) k_t v_t')' r_t,  S_t = diag(exp(w)) S_{t-1} + k_t v_t'
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local r, k = input("r", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local w, u = input("w", { H, K }), input("u", { H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local kv = k * v
      return dot(s.S + u * kv, r, K), { S = exp(w) * s.S + kv }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
