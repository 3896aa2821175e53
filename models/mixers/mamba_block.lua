-- A whole Mamba layer. Gu and Dao 2023, figure 3: two projections, a short convolution, the selective scan, a gate.
--   (x, z) = in_proj(u);  x = silu(conv4(x));  (d, B, C) = x_proj(x);  h_t = exp(d A) h_{t-1} + d x B';  o = out_proj((h C + D x) * silu(z))
local Bt, T, E = axes "B T E"

return model {
  config = { hidden = 12, state = 8, rank = 4, conv = 4 },
  build = function(c)
    local E2, D, X = axis("2D", 4 * c.hidden), axis("D", 2 * c.hidden), axis("X", c.rank + 2 * c.state)
    local N, R, one, W = axis("N", c.state), axis("R", c.rank), axis("one", 1), axis("tap", c.conv)
    local u = input("x", { Bt, T, E })
    local both = linear(u, E, E2, "in_proj")
    local x, z = both:slice(E2, 0, 2 * c.hidden, D), both:slice(E2, 2 * c.hidden, 2 * c.hidden, D)
    local taps = weight("conv1d.weight", { D, one, W }):at(one, 0)
    x = silu(dot(window(x, T, W), taps, W) + weight("conv1d.bias", { D }))
    local p = linear(x, D, X, "x_proj")
    local d = softplus(linear(p:slice(X, 0, c.rank, R), R, D, "dt_proj") + weight("dt_proj.bias", { D }))
    local B, C = p:slice(X, c.rank, c.state, N), p:slice(X, c.rank + c.state, c.state, N)
    local A = -exp(weight("A_log", { D, N }))
    local y = scan(T, { h = zeros { Bt, D, N } }, function(s)
      local h = exp(d * A) * s.h + d * x * B
      return dot(h, C, N), { h = h }
    end)
    y = (y + weight("D", { D }) * x) * silu(z)
    return { o = linear(y, D, E, "out_proj"):as { Bt, T, E } }
  end,
}
