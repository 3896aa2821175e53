-- S4D. Gu et al. 2022, "On the Parameterization and Initialization of Diagonal State Space Models", eq. 6: complex diagonal, zero-order hold.
--   a = exp(dt A),  b = (a - 1) / A B,  x_t = a * x_{t-1} + b u_t,  o_t = 2 Re(C . x_t) + D u_t.  Complex numbers are two planes.
local B, T, D, N = axes "B T D N"

local function times(ar, ai, br, bi) return ar * br - ai * bi, ar * bi + ai * br end

return model {
  build = function()
    local u, D0 = input("u", { B, T, D }), input("D", { D })
    local Ar, Ai = input("A_re", { D, N }), input("A_im", { D, N })
    local Br, Bi = input("B.re", { D, N }), input("B.im", { D, N })
    local Cr, Ci = input("C.re", { D, N }), input("C.im", { D, N })
    local dt = exp(input("log_dt", { D }))
    local ar, ai = exp(dt * Ar) * cos(dt * Ai), exp(dt * Ar) * sin(dt * Ai)
    local n = Ar * Ar + Ai * Ai
    local br, bi = times(ar - 1, ai, Ar / n, -Ai / n)
    br, bi = times(br, bi, Br, Bi)
    local start = { r = input("initial_state.re", { B, D, N }, 0), i = input("initial_state.im", { B, D, N }, 0) }
    local o, last = scan(T, start, function(s)
      local r, i = times(ar, ai, s.r, s.i)
      r, i = r + br * u, i + bi * u
      return 2 * sum(Cr * r - Ci * i, N) + D0 * u, { r = r, i = i }
    end)
    return { o = o:as { B, T, D }, ["final_state.re"] = last.r:as { B, D, N }, ["final_state.im"] = last.i:as { B, D, N } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, D = 2, N = 3 },
      inputs = {
        u = { random = 1 }, D = { random = 2 }, ["B.re"] = { random = 3 }, ["B.im"] = { random = 4 }, ["C.re"] = { random = 5 },
        ["C.im"] = { random = 6 }, log_dt = { random = 7, -2, 0 }, A_re = { random = 8, -1, -0.25 }, A_im = { random = 9, -3, 3 },
      },
      expect = function(x)                              -- as a convolution with 2 Re(C (exp(dt A) - 1) / A B exp(dt A l))
        local function kernel(l, d, n)
          local dt, Ar, Ai = math.exp(x.log_dt(d)), x.A_re(d, n), x.A_im(d, n)
          local function power(p) return math.exp(p * dt * Ar) * math.cos(p * dt * Ai), math.exp(p * dt * Ar) * math.sin(p * dt * Ai) end
          local r0, i0 = power(l)
          local r1, i1 = power(l + 1)
          local r, i = ((r1 - r0) * Ar + (i1 - i0) * Ai) / (Ar ^ 2 + Ai ^ 2), ((i1 - i0) * Ar - (r1 - r0) * Ai) / (Ar ^ 2 + Ai ^ 2)
          local re = x["C.re"](d, n) * x["B.re"](d, n) - x["C.im"](d, n) * x["B.im"](d, n)
          local im = x["C.re"](d, n) * x["B.im"](d, n) + x["C.im"](d, n) * x["B.re"](d, n)
          return 2 * (re * r - im * i)
        end
        return { o = function(_, t, d)
          return x.D(d) * x.u(0, t, d) + total(t + 1, function(i)
            return x.u(0, i, d) * total(x.size.N, function(n) return kernel(t - i, d, n) end)
          end)
        end }
      end,
    },
  },
}
