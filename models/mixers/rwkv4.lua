-- RWKV-4. Peng et al. 2023, eq. 16: a weighted mean of values with a bonus for the current one, all exponents kept under a running maximum.
--   a_t = exp(-exp(w)) a_{t-1} + exp(k_t) v_t,  b_t likewise with v = 1,  o_t = (a_{t-1} + exp(u + k_t) v_t) / (b_{t-1} + exp(u + k_t))
local B, T, D = axes "B T D"

return model {
  build = function()
    local w, u = input("w", { D }), input("u", { D })
    local k, v = input("k", { B, T, D }), input("v", { B, T, D })
    local num0, den0 = input("initial_num", { B, D }, 0), input("initial_den", { B, D }, 0)
    local max0 = input("initial_max", { B, D }, -1e38)
    local o, last = scan(T, { num = num0, den = den0, max = max0 }, function(s)
      local m = maximum(s.max, u + k)
      local old, new = exp(s.max - m), exp(u + k - m)
      local o = (old * s.num + new * v) / (old * s.den + new)
      local top = maximum(s.max - exp(w), k)
      old, new = exp(s.max - exp(w) - top), exp(k - top)
      return o, { num = old * s.num + new * v, den = old * s.den + new, max = top }
    end)
    return { o = o:as { B, T, D }, final_num = last.num:as { B, D }, final_den = last.den:as { B, D }, final_max = last.max:as { B, D } }
  end,
}
