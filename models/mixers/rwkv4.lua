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
  tests = {
    small = {
      sizes = { B = 1, T = 5, D = 3 },
      inputs = { k = { random = 1, -3, 3 }, v = { random = 2 }, w = { random = 3, -2, 1 }, u = { random = 4 } },
      expect = function(x)                              -- as the mean that it is
        local function weight(t, i, d) return math.exp(x.k(0, i, d) + (i == t and x.u(d) or -(t - 1 - i) * math.exp(x.w(d)))) end
        return { o = function(_, t, d)
          local all = total(t + 1, function(i) return weight(t, i, d) end)
          return total(t + 1, function(i) return weight(t, i, d) * x.v(0, i, d) end) / all
        end }
      end,
    },
  },
}
