-- HGRN. Qin et al. 2023, eq. 6: an elementwise gated recurrence.
--   h_t = exp(g_t) * h_{t-1} + x_t,  o_t = h_t
local B, T, D = axes "B T D"

return model {
  build = function()
    local x, g = input("x", { B, T, D }), input("g", { B, T, D })
    local o, last = scan(T, { h = input("initial_state", { B, D }, 0) }, function(s)
      local h = exp(g) * s.h + x
      return h, { h = h }
    end)
    return { o = o:as { B, T, D }, final_state = last.h:as { B, D } }
  end,
  tests = {
    halves = {
      sizes = { B = 1, T = 4, D = 2 },
      inputs = { x = { 1, 2, 3, 4, 5, 6, 7, 8 }, g = -math.log(2), initial_state = { 4, 0 } },
      expect = { o = { 3, 2, 4.5, 5, 7.25, 8.5, 10.625, 12.25 }, final_state = { 10.625, 12.25 } },
    },
    gates = {
      sizes = { B = 2, T = 4, D = 2 }, inputs = { x = { random = 1 }, g = { random = 2, -2, 0 } },
      expect = function(x)
        local h
        h = memo(function(b, t, d) return t < 0 and 0 or math.exp(x.g(b, t, d)) * h(b, t - 1, d) + x.x(b, t, d) end)
        return { o = h }
      end,
    },
  },
}
