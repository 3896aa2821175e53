-- A language model of S4D layers. Gu et al. 2022, "On the Parameterization and Initialization of Diagonal State Space Models", eq. 6 and
-- section 3: every channel has its own complex diagonal state space, discretised with zero-order hold, then gelu and a gated linear unit.
--   A = -exp(log_A_real) + i A_imag,  a = exp(dt A),  h_t = a h_{t-1} + u_t,  y_t = 2 Re(sum of C (a - 1) / A h_t) + D u_t
-- Weights as in the reference implementation, C as pairs (re, im).
return decoder {
  config = { state = 64, hidden = 0 },
  mixer = function(x, T, D, c)
    local N, two, F, R, one = axis("N", c.state // 2), axis("re,im", 2), axis("2D", 2 * c.dim), axis("a,b", 2), axis("one", 1)
    local dt, C = exp(weight("log_dt", { D })), weight("C", { D, N, two })
    local Ar, Ai = -exp(weight("log_A_real", { D, N })), weight("A_imag", { D, N })
    local ar, ai, n = exp(dt * Ar) * cos(dt * Ai), exp(dt * Ar) * sin(dt * Ai), Ar * Ar + Ai * Ai
    local br, bi = ((ar - 1) * Ar + ai * Ai) / n, (ai * Ar - (ar - 1) * Ai) / n
    local Cr, Ci = C:at(two, 0) * br - C:at(two, 1) * bi, C:at(two, 0) * bi + C:at(two, 1) * br
    local y = scan(T, { r = zeros { D, N }, i = zeros { D, N } }, function(s)
      local r, i = ar * s.r - ai * s.i + x, ar * s.i + ai * s.r
      return 2 * sum(Cr * r - Ci * i, N), { r = r, i = i }
    end)
    y = gelu(y + weight("D", { D }) * x)
    local out = dot(y, weight("output_linear.0.weight", { F, D, one }):at(one, 0), D) + weight("output_linear.0.bias", { F })
    out = out:split(F, { R, axis("half", c.dim) }):over(axis "half", D)
    return out:at(R, 0) * sigmoid(out:at(R, 1))
  end,
  small = { state = 4, hidden = 0 },
  by_hand = function(x, w)                     -- as a convolution with 2 Re(C (exp(dt A) - 1) / A exp(dt A l))
    local function kernel(l, d, n)
      local dt, Ar, Ai = math.exp(w "log_dt"(d)), -math.exp(w "log_A_real"(d, n)), w "A_imag"(d, n)
      local function power(p) return math.exp(p * dt * Ar) * math.cos(p * dt * Ai), math.exp(p * dt * Ar) * math.sin(p * dt * Ai) end
      local r0, i0 = power(l)
      local r1, i1 = power(l + 1)
      local r, i = ((r1 - r0) * Ar + (i1 - i0) * Ai) / (Ar ^ 2 + Ai ^ 2), ((i1 - i0) * Ar - (r1 - r0) * Ai) / (Ar ^ 2 + Ai ^ 2)
      return 2 * (w "C"(d, n, 0) * r - w "C"(d, n, 1) * i)
    end
    local y = memo(function(t, d)
      return plain.gelu(w "D"(d) * x(t, d) + total(t + 1, function(i)
        return x(i, d) * total(2, function(n) return kernel(t - i, d, n) end)
      end))
    end)
    local out = plain.linear(y, 4, function(i, j) return w "output_linear.0.weight"(i, j, 0) end, w "output_linear.0.bias")
    return function(t, d) return out(t, d) * plain.sigmoid(out(t, 4 + d)) end
  end,
}
