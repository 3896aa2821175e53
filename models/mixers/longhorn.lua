-- Longhorn. Liu et al. 2024, "Longhorn: State Space Models are Amortized Online Learners", eq. 9 and 10: each channel of the input is stored
-- at the key, at the rate that solves the online problem in closed form.
--   delta = beta / (1 + beta k'k),  S_t = (1 - delta_t k_t^2) * S_{t-1} + delta_t x_t k_t',  o_t = S_t q_t;  beta is for each channel
local B, T, D, N = axes "B T D N"

return model {
  build = function()
    local x, beta = input("x", { B, T, D }), input("beta", { B, T, D })
    local q, k = input("q", { B, T, N }), input("k", { B, T, N })
    local delta = beta / (1 + beta * sum(k * k, N))
    local o, last = scan(T, { S = input("initial_state", { B, D, N }, 0) }, function(s)
      local S = (1 - delta * (k * k)) * s.S + delta * x * k
      return dot(S, q, N), { S = S }
    end)
    return { o = o:as { B, T, D }, final_state = last.S:as { B, D, N } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, D = 2, N = 3 },
      inputs = { x = { random = 1 }, beta = { random = 2, 0, 1 }, q = { random = 3 }, k = { random = 4 }, initial_state = { random = 5 } },
      expect = function(x)
        local N, S = x.size.N, nil
        local function rate(b, t, d) return 1 / (1 / x.beta(b, t, d) + total(N, function(n) return x.k(b, t, n) ^ 2 end)) end
        S = memo(function(b, t, d, n)
          if t < 0 then return x.initial_state(b, d, n) end
          local k = x.k(b, t, n)
          return S(b, t - 1, d, n) + rate(b, t, d) * k * (x.x(b, t, d) - k * S(b, t - 1, d, n))
        end)
        return { o = function(b, t, d) return total(N, function(n) return x.q(b, t, n) * S(b, t, d, n) end) end }
      end,
    },
  },
}
