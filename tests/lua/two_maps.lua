-- Maps that follow one another: thick ones are multiplied when the model is built, thin ones stay two, and a product of weights
-- that is written by hand is made as the sizes ask for it.
local T, D, R, S, E = axis "T", axis("D", 3), axis("R", 7), axis("S", 1), axis("E", 4)

return model {
  build = function()
    local x = input("x", { T, D })
    local thick = dot(dot(x, weight("A", { R, D }), D), weight("B", { E, R }), R)
    local thin = dot(dot(x, weight("a", { S, D }), D), weight("b", { E, S }), S)
    local hand = dot(x, dot(weight("a", { S, D }), weight("b", { E, S }), S), D)
    local whole = dot(x, dot(weight("A", { R, D }), weight("B", { E, R }), R), D)
    return { y = (thick + 2 * thin):as { T, E }, z = (whole + 3 * hand):as { T, E } }
  end,
  tests = {
    small = {
      sizes = { T = 5 }, inputs = { x = { random = 1 } },
      weights = { A = { random = 2 }, B = { random = 3 }, a = { random = 4 }, b = { random = 5 } },
      expect = function(x)
        local function both(t, e, A, B, n)
          local sum = 0
          for d = 0, 2 do
            for r = 0, n - 1 do sum = sum + x.x(t, d) * x.weight[A](r, d) * x.weight[B](e, r) end
          end
          return sum
        end
        return {
          y = function(t, e) return both(t, e, "A", "B", 7) + 2 * both(t, e, "a", "b", 1) end,
          z = function(t, e) return both(t, e, "A", "B", 7) + 3 * both(t, e, "a", "b", 1) end,
        }
      end,
    },
  },
}
