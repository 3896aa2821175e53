-- Adapters of low rank beside a map, as they are trained: W x + b + s B (A x), on heads of their own for the second.
local T, D, E, R, H, K = axis "T", axis("D", 6), axis("E", 5), axis("R", 2), axis("H", 2), axis("K", 3)

return model {
  build = function()
    local x = input("x", { T, D })
    local y = dot(weight("W", { E, D }), x, D) + weight("b", { E }) + 0.5 * dot(weight("B", { E, R }), dot(weight("A", { R, D }), x, D), R)
    local heads = x:split(D, { H, K })
    local z = dot(heads, weight("U", { H, K, E }), K) + dot(dot(heads, weight("P", { H, K, R }), K), weight("Q", { H, R, E }), R)
    return { y = y:as { T, E }, z = z:as { T, H, E } }
  end,
  tests = {
    small = {
      sizes = { T = 4 }, inputs = { x = { random = 1 } }, weights = { random = 2 },
      expect = function(x)
        local w = x.weight
        local function low(r, t) return total(6, function(d) return w.A(r, d) * x.x(t, d) end) end
        return {
          y = function(t, e)
            return w.b(e) + total(6, function(d) return w.W(e, d) * x.x(t, d) end) + 0.5 * total(2, function(r) return w.B(e, r) * low(r, t) end)
          end,
          z = function(t, h, e)
            return total(3, function(k)
              return x.x(t, 3 * h + k) * (w.U(h, k, e) + total(2, function(r) return w.P(h, k, r) * w.Q(h, r, e) end))
            end)
          end,
        }
      end,
    },
  },
}
