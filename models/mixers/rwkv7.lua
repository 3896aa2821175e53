-- RWKV-7. Peng et al. 2025, "Goose", eq. 15: decay, removal at kk with strength a, write, read.
--   S_t = diag(exp(w_t)) S_{t-1} - (a_t * kk_t) (S_{t-1}' kk_t)' + k_t v_t',  o_t = S_t' r_t
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local r, w, k = input("r", { B, T, H, K }), input("w", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local kk, a = input("kk", { B, T, H, K }), input("a", { B, T, H, K })
    local S0 = input("initial_state", { B, H, K, V }, 0)
    local o, last = scan(T, { S = S0 }, function(s)
      local S = exp(w) * s.S - a * kk * dot(s.S, kk, K) + k * v
      return dot(r, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
}
