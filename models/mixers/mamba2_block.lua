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
  tests = {
    small = {
      config = { hidden = 2, state = 2, heads = 2, head_dim = 2, groups = 2, conv = 2 },
      sizes = { B = 1, T = 3, E = 2 }, inputs = { x = { random = 1 } }, weights = { random = 2 },
      expect = function(x)                              -- rows of the projection: z 0..3, x 4..7, B 8..11, C 12..15, dt 16..17
        local w = x.weight
        local function silu(a) return a / (1 + math.exp(-a)) end
        local p = memo(function(t, i)
          return t < 0 and 0 or total(2, function(e) return w["in_proj.weight"](i, e) * x.x(0, t, e) end)
        end)
        local xbc = memo(function(t, i)
          return silu(total(2, function(tap) return w["conv1d.weight"](i, 0, tap) * p(t - 1 + tap, 4 + i) end) + w["conv1d.bias"](i))
        end)
        local function dt(t, h) return math.log(1 + math.exp(p(t, 16 + h) + w.dt_bias(h))) end
        local S
        S = memo(function(t, h, v, k)
          if t < 0 then return 0 end
          return math.exp(-dt(t, h) * math.exp(w.A_log(h))) * S(t - 1, h, v, k) + dt(t, h) * xbc(t, 2 * h + v) * xbc(t, 4 + 2 * h + k)
        end)
        local gated = memo(function(t, h, v)
          local y = total(2, function(k) return S(t, h, v, k) * xbc(t, 8 + 2 * h + k) end) + w.D(h) * xbc(t, 2 * h + v)
          return y * silu(p(t, 2 * h + v))
        end)
        return { o = function(_, t, e)
          return total(4, function(d)                   -- two heads, two groups: a group is a head
            local size = total(2, function(v) return gated(t, d // 2, v) ^ 2 end) / 2 + 1e-5
            return w["out_proj.weight"](e, d) * w["norm.weight"](d) * gated(t, d // 2, d % 2) * size ^ -0.5
          end)
        end }
      end,
    },
  },
}
