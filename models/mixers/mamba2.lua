-- Mamba-2. Dao and Gu 2024, eq. 16: one decay per head and step; B and C are shared by groups of heads.
--   d = softplus(dt_t + bias),  S_t = exp(d A_h) S_{t-1} + d x_t B_t',  o_t = S_t C_t [+ D_h x_t]
local B, T, H, V, G, R, K = axes "B T H V G R K"

return model {
  config = { softplus = false },
  build = function(c)
    local Bt, Ct = input("B", { B, T, G, K }), input("C", { B, T, G, K })
    local x, dt = input("x", { B, T, H, V }), input("dt", { B, T, H })
    if given "dt_bias" then dt = dt + input("dt_bias", { H }) end
    if c.softplus then dt = softplus(dt) end
    local xg, dtg = x:split(H, { G, R }), dt:split(H, { G, R })            -- R heads for each group
    local A = input("A", { H }):split(H, { G, R })
    local S0 = input("initial_state", { B, H, V, K }, 0):split(H, { G, R })
    local y, last = scan(T, { S = S0 }, function(s)
      local S = exp(dtg * A) * s.S + dtg * xg * Bt
      return dot(S, Ct, K), { S = S }
    end)
    local o = y:merge({ G, R }, H)
    if given "D" then o = o + input("D", { H }) * x end
    return { o = o:as { B, T, H, V }, final_state = last.S:merge({ G, R }, H):as { B, H, V, K } }
  end,
}
