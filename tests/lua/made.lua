-- What depends on weights alone, in many ways: a rate, a matrix whose rows have length 1 and that is read as it is as well, a correction of
-- low rank added by hand, bounds that add up over the layers, frequencies made from constants, a table that is looked up row by row.
local T, D, R, E, L, V = axis "T", axis("D", 4), axis("R", 2), axis("E", 4), axis("L", 3), axis("V", 6)

return model {
  build = function()
    local x = input("x", { T, D })
    local rate = exp(-exp(weight("log_rate", { D })))
    local W = weight("W", { E, D })
    local unit = W * weight("gain", { E }) / sqrt(sum(W * W, D))
    local low = W + dot(weight("B", { E, R }), weight("A", { R, D }), R)
    local bounds = cumsum(softmax(weight("layers", { L, D }), L), L):at(L, 1)
    local waves = cos(pos(T) * exp(-0.5 * iota(D)))
    local rows = gather(tanh(weight("table", { V, D })), input("tokens", { T }, int), V)
    local h = scan(T, { h = zeros { D } }, function(s)
      local h = rate * s.h + x
      return h, { h = h }
    end)
    local y = dot(unit, h, D) + dot(low, x, D) + dot(W, x * bounds, D)
    return { y = y:as { T, E }, z = (x * waves + rows):as { T, D } }
  end,
  tests = {
    small = {
      sizes = { T = 5 }, inputs = { x = { random = 1 }, tokens = { 5, 0, 3, 3, 1 } },
      weights = { random = 2 },
      expect = function(x)
        local w, h = x.weight, nil
        h = memo(function(t, d) return t < 0 and 0 or math.exp(-math.exp(w.log_rate(d))) * h(t - 1, d) + x.x(t, d) end)
        local function square(e) return total(4, function(d) return w.W(e, d) ^ 2 end) end
        local function low(e, d) return w.W(e, d) + total(2, function(r) return w.B(e, r) * w.A(r, d) end) end
        local function bound(d)
          local function e(l) return math.exp(w.layers(l, d)) end
          return (e(0) + e(1)) / (e(0) + e(1) + e(2))
        end
        return {
          y = function(t, e)
            return total(4, function(d)
              return w.W(e, d) * w.gain(e) / math.sqrt(square(e)) * h(t, d) + low(e, d) * x.x(t, d) + w.W(e, d) * x.x(t, d) * bound(d)
            end)
          end,
          z = function(t, d) return x.x(t, d) * math.cos(t * math.exp(-0.5 * d)) + (math.exp(2 * w.table(x.tokens(t), d)) - 1) / (math.exp(2 * w.table(x.tokens(t), d)) + 1) end,
        }
      end,
    },
  },
}
