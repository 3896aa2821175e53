-- The library's attention: groups of heads, a window, a sink, a bias, no mask; memory with one row per position.
local T, H, G, K, V = axis "T", axis("H", 2), axis("G", 2), axis("K", 3), axis("V", 2)
return model {
  build = function()
    local q, k, v = input("q", { T, H, G, K }), input("k", { T, H, K }), input("v", { T, H, V })
    local sink = input("sink", { H, G })
    local function run(mask, opts) return attention(q, k, v, T, K, mask, opts):as { T, H, G, V } end
    local J = T:other()
    local rows = scan(T, { m = zeros { J, H, V } }, function(s)              -- writes row t, reads the mean of what is written
      local m = where(eq(pos(J), pos(T)), v, s.m)
      return sum(m, J) / f32(pos(T) + 1), { m = m }
    end)
    return {
      causal = run(causal), window = run(sliding(2)), full = run(nil), sink = run(causal, { sink = sink, scale = 1 }),
      bias = run(causal, { bias = function(T, J) return -0.5 * (pos(T) - pos(J)) end }),
      rows = rows:as { T, H, V },
    }
  end,
  tests = {
    small = {
      sizes = { T = 5 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, sink = { random = 4 } },
      expect = function(x)
        local function attend(seen, scale, sink, bias)
          return function(t, h, g, d)
            local top, total = 0, sink and math.exp(x.sink(h, g)) or 0
            for j = 0, 4 do
              if seen(t, j) then
                local s = bias and bias(t, j) or 0
                for k = 0, 2 do s = s + x.q(t, h, g, k) * x.k(j, h, k) * scale end
                total = total + math.exp(s)
                top = top + math.exp(s) * x.v(j, h, d)
              end
            end
            return top / total
          end
        end
        local function past(t, j) return j <= t end
        return {
          causal = attend(past, 3 ^ -0.5), full = attend(function() return true end, 3 ^ -0.5),
          window = attend(function(t, j) return j <= t and j > t - 2 end, 3 ^ -0.5),
          sink = attend(past, 1, true), bias = attend(past, 3 ^ -0.5, false, function(t, j) return -0.5 * (t - j) end),
          rows = function(t, h, d)
            local s = 0
            for j = 0, t do s = s + x.v(j, h, d) end
            return s / (t + 1)
          end,
        }
      end,
    },
  },
}
