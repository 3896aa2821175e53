-- Linear recurrent unit. Orvieto et al. 2023, eq. 5 and section 3.4: complex eigenvalues on a ring, inputs normalised by them.
--   lam = exp(-exp(nu_log) + i exp(theta_log)),  x_t = lam * x_{t-1} + sqrt(1 - |lam|^2) * (B u_t),  o_t = Re(C x_t) + D * u_t
local B, T, D, N = axes "B T D N"

return model {
  build = function()
    local u, D0 = input("u", { B, T, D }), input("D", { D })
    local Br, Bi = input("B.re", { N, D }), input("B.im", { N, D })
    local Cr, Ci = input("C.re", { D, N }), input("C.im", { D, N })
    local rate, angle = exp(input("nu_log", { N })), exp(input("theta_log", { N }))
    local size, t = exp(-rate), tanh(rate)
    local lr, li, gamma = size * cos(angle), size * sin(angle), sqrt(2 * t / (1 + t))     -- 1 - size^2, exact where size is nearly 1
    local ur, ui = gamma * dot(Br, u, D), gamma * dot(Bi, u, D)
    local start = { r = input("initial_state.re", { B, N }, 0), i = input("initial_state.im", { B, N }, 0) }
    local o, last = scan(T, start, function(s)
      local r, i = lr * s.r - li * s.i + ur, lr * s.i + li * s.r + ui
      return dot(Cr, r, N) - dot(Ci, i, N) + D0 * u, { r = r, i = i }
    end)
    return { o = o:as { B, T, D }, ["final_state.re"] = last.r:as { B, N }, ["final_state.im"] = last.i:as { B, N } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, D = 2, N = 3 },
      inputs = {
        u = { random = 1 }, D = { random = 2 }, ["B.re"] = { random = 3 }, ["B.im"] = { random = 4 }, ["C.re"] = { random = 5 },
        ["C.im"] = { random = 6 }, nu_log = { random = 7, -2, 0 }, theta_log = { random = 8, -1, 1 },
      },
      expect = function(x)                              -- as a convolution: lam^l has size r^l and angle l * theta
        local D, N = x.size.D, x.size.N
        local function response(l, d, n, e)             -- Re(C lam^l B) of one input channel
          local r, a = math.exp(-math.exp(x.nu_log(n))), l * math.exp(x.theta_log(n))
          local re = x["C.re"](d, n) * x["B.re"](n, e) - x["C.im"](d, n) * x["B.im"](n, e)
          local im = x["C.re"](d, n) * x["B.im"](n, e) + x["C.im"](d, n) * x["B.re"](n, e)
          return (1 - r * r) ^ 0.5 * r ^ l * (math.cos(a) * re - math.sin(a) * im)
        end
        return { o = function(_, t, d)
          return x.D(d) * x.u(0, t, d) + total(t + 1, function(i)
            return total(D, function(e) return x.u(0, i, e) * total(N, function(n) return response(t - i, d, n, e) end) end)
          end)
        end }
      end,
    },
  },
}
