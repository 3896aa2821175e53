-- A whole Mamba-2 layer. Dao and Gu 2024, figure 6: one projection, a short convolution over x, B and C, the scan, a gated norm.
local Bt, T, E = axes "B T E"

return model {
  config = { hidden = 16, state = 8, heads = 4, head_dim = 8, groups = 2, conv = 4, norm_eps = 1e-5 },
  build = function(c)
    local inner, bc = c.heads * c.head_dim, c.groups * c.state
    local P, D, X = axis("P", 2 * inner + 2 * bc + c.heads), axis("D", inner), axis("X", inner + 2 * bc)
    local H, V, G, R = axis("H", c.heads), axis("V", c.head_dim), axis("G", c.groups), axis("R", c.heads // c.groups)
    local GK, K, one, W = axis("GK", bc), axis("K", c.state), axis("one", 1), axis("tap", c.conv)
    local p = linear(input("x", { Bt, T, E }), E, P, "in_proj")
    local z, dt = p:slice(P, 0, inner, D), p:slice(P, 2 * inner + 2 * bc, c.heads, H)
    local taps = weight("conv1d.weight", { X, one, W }):at(one, 0)
    local xbc = silu(dot(window(p:slice(P, inner, inner + 2 * bc, X), T, W), taps, W) + weight("conv1d.bias", { X }))
    local x = xbc:slice(X, 0, inner, D):split(D, { G, R, V })
    local B, C = xbc:slice(X, inner, bc, GK):split(GK, { G, K }), xbc:slice(X, inner + bc, bc, GK):split(GK, { G, K })
    local d = softplus(dt + weight("dt_bias", { H })):split(H, { G, R })
    local A = -exp(weight("A_log", { H })):split(H, { G, R })
    local y = scan(T, { S = zeros { Bt, G, R, V, K } }, function(s)
      local S = exp(d * A) * s.S + d * x * B
      return dot(S, C, K), { S = S }
    end)
    y = y + weight("D", { H }):split(H, { G, R }) * x
    local D2 = axis("D/groups", inner // c.groups)
    local gated = y:merge({ G, R, V }, D) * silu(z)                        -- the gate first, then the norm, each group by itself
    local o = rms(gated:split(D, { G, D2 }), D2, c.norm_eps):merge({ G, D2 }, D) * weight("norm.weight", { D })
    return { o = linear(o, D, E, "out_proj"):as { Bt, T, E } }
  end,
}
