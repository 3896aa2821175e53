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
  tests = {
    small = {
      config = { hidden = 2, state = 2, rank = 1, conv = 2 },
      sizes = { B = 1, T = 3, E = 2 }, inputs = { x = { random = 1 } }, weights = { random = 2 },
      expect = function(x)
        local w, D, N = x.weight, 4, 2
        local function silu(a) return a / (1 + math.exp(-a)) end
        local function both(t, i) return total(2, function(e) return w["in_proj.weight"](i, e) * x.x(0, t, e) end) end
        local y = memo(function(t, d)
          local old = t > 0 and both(t - 1, d) or 0
          return silu(w["conv1d.weight"](d, 0, 0) * old + w["conv1d.weight"](d, 0, 1) * both(t, d) + w["conv1d.bias"](d))
        end)
        local p = memo(function(t, i) return total(D, function(d) return w["x_proj.weight"](i, d) * y(t, d) end) end)
        local function dt(t, d) return math.log(1 + math.exp(w["dt_proj.weight"](d, 0) * p(t, 0) + w["dt_proj.bias"](d))) end
        local h
        h = memo(function(t, d, n)
          if t < 0 then return 0 end
          return math.exp(-dt(t, d) * math.exp(w.A_log(d, n))) * h(t - 1, d, n) + dt(t, d) * y(t, d) * p(t, 1 + n)
        end)
        return { o = function(_, t, e)
          return total(D, function(d)
            local read = total(N, function(n) return h(t, d, n) * p(t, 3 + n) end) + w.D(d) * y(t, d)
            return w["out_proj.weight"](e, d) * read * silu(both(t, D + d))
          end)
        end }
      end,
    },
  },
}
