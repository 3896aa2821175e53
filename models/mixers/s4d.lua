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
}
