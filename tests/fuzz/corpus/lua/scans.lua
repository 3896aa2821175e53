-- Scans over two axes, one inside the other; backwards; several outputs; nested states; integers; no state at all.
local T, R, D = axis "T", axis("R", 3), axis("D", 2)
return model {
  build = function()
    local x, w = input("x", { T, R }), input("w", { R, D })
    local rows, last = scan(T, { total = zeros { D }, count = { steps = zeros({}, int) } }, function(s)
      local inner, at_end = scan(R, { p = s.total }, function(r)         -- x is a number here, w a vector over D
        local p = r.p + x * w
        return p, { p = p }
      end)
      return sum(inner, R), s.count.steps, { total = at_end.p, count = { steps = s.count.steps + 1 } }
    end)
    local _, steps, state = scan(T, { n = zeros({}, int) }, function(s) return s.n, s.n * 2, { n = s.n + 1 } end)
    return {
      rows = rows:as { T, D }, total = select(3, scan(T, { a = zeros { R } }, function(s)
        return s.a, pos(T), { a = s.a + x }
      end)).a,
      back = scan_back(T, { a = zeros { R } }, function(s)
        local a = s.a + x
        return a, { a = a }
      end):as { T, R },
      mapped = scan(T, {}, function() return x * x end),
      steps = steps, n = state.n,
    }
  end,
  tests = {
    small = {
      sizes = { T = 4 },
      inputs = { x = { random = 1 }, w = { random = 2 } },
      expect = function(x)
        local rows, run = {}, { 0, 0 }
        for t = 0, 3 do
          for d = 0, 1 do
            local all = 0
            for r = 0, 2 do
              run[d + 1] = run[d + 1] + x.x(t, r) * x.w(r, d)
              all = all + run[d + 1]
            end
            rows[t * 2 + d + 1] = all
          end
        end
        local function over(r, from, to)
          local s = 0
          for t = from, to do s = s + x.x(t, r) end
          return s
        end
        return {
          rows = rows, steps = { 0, 2, 4, 6 }, n = { 4 },
          total = function(r) return over(r, 0, 3) end,
          back = function(t, r) return over(r, t, 3) end,
          mapped = function(t, r) return x.x(t, r) ^ 2 end,
        }
      end,
    },
  },
}
