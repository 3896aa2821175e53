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
}
