-- A language model of linear recurrent units. Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences", eq. 5 and
-- figure 1: complex eigenvalues inside the unit circle, inputs normalised by them, then gelu and a gated linear unit.
--   lam = exp(-exp(nu_log) + i exp(theta_log)),  h_t = lam h_{t-1} + exp(gamma_log) B x_t,  y_t = Re(C h_t) + D x_t
--   x = x + (W1 gelu(y)) * sigmoid(W2 gelu(y))
return decoder {
  config = { state = function(c) return c.dim end, hidden = 0 },
  mixer = function(x, T, D, c)
    local N = axis("N", c.state)
    local size, angle = exp(-exp(weight("nu_log", { N }))), exp(weight("theta_log", { N }))
    local lr, li, gamma = size * cos(angle), size * sin(angle), exp(weight("gamma_log", { N }))
    local ur, ui = gamma * dot(weight("B_re", { N, D }), x, D), gamma * dot(weight("B_im", { N, D }), x, D)
    local hr, hi = scan(T, { r = zeros { N }, i = zeros { N } }, function(s)
      local r, i = lr * s.r - li * s.i + ur, lr * s.i + li * s.r + ui
      return r, i, { r = r, i = i }
    end)
    local y = dot(weight("C_re", { D, N }), hr, N) - dot(weight("C_im", { D, N }), hi, N) + weight("D", { D }) * x
    y = gelu_tanh(y)
    return linear(y, D, D, "out1", true) * sigmoid(linear(y, D, D, "out2", true))
  end,
  small = { state = 3, hidden = 0 },
  by_hand = function(x, w)                     -- as a convolution: lam^l has size r^l and angle l theta
    local function response(l, d, n, e)        -- Re(C lam^l B) of one input channel
      local r, a = math.exp(-math.exp(w "nu_log"(n))), l * math.exp(w "theta_log"(n))
      local re = w "C_re"(d, n) * w "B_re"(n, e) - w "C_im"(d, n) * w "B_im"(n, e)
      local im = w "C_re"(d, n) * w "B_im"(n, e) + w "C_im"(d, n) * w "B_re"(n, e)
      return math.exp(w "gamma_log"(n)) * r ^ l * (math.cos(a) * re - math.sin(a) * im)
    end
    local y = memo(function(t, d)
      return plain.gelu_tanh(w "D"(d) * x(t, d) + total(t + 1, function(i)
        return total(4, function(e) return x(i, e) * total(3, function(n) return response(t - i, d, n, e) end) end)
      end))
    end)
    local a, b = plain.linear(y, 4, w "out1.weight", w "out1.bias"), plain.linear(y, 4, w "out2.weight", w "out2.bias")
    return function(t, d) return a(t, d) * plain.sigmoid(b(t, d)) end
  end,
}
