-- Gated DeltaNet. Yang, Kautz, Hatamizadeh 2024, "Gated Delta Networks", eq. 10 and figure 1: the delta rule on a state that forgets.
--   g = -exp(A_log) softplus(Wa x + dt_bias),  R = exp(g_t) S_{t-1},  S_t = R + k_t (beta_t (v_t - R' k_t))',  o_t = S_t' q_t,
--   y = Wo (norm(o) * silu(Wg x))
return decoder {
  config = { heads = 4, head_dim = function(c) return c.dim // c.heads end, expand_v = 2.0, conv = 4 },
  keys = { heads = "num_heads", conv = "conv_size" },
  mixer = function(x, T, D, c)
    local H, K, V = axis("H", c.heads), axis("K", c.head_dim), axis("V", c.head_dim * c.expand_v // 1)
    local q, k, v = conv_heads(x, T, D, H, K, c.conv, "q"), conv_heads(x, T, D, H, K, c.conv, "k"), conv_heads(x, T, D, H, V, c.conv, "v")
    local beta = sigmoid(linear(x, D, H, "b_proj"))
    local g = -exp(weight("A_log", { H })) * softplus(linear(x, D, H, "a_proj") + weight("dt_bias", { H }))
    q, k = unit(q, K) * size(K) ^ -0.5, unit(k, K)
    local o = delta_scan(q, k, v, beta, exp(g), T, K, zeros { H, K, V })
    return from_heads(rmsnorm(o, V, "o_norm", c.eps) * silu(to_heads(x, D, H, V, "g_proj")), H, V, D, "o_proj")
  end,
  small = { heads = 2, conv = 2, expand_v = 1.0 },
  by_hand = function(x, w, c)
    local function path(name)                  -- projection, convolution, silu
      local y = plain.conv(plain.linear(x, 4, w(name .. "_proj.weight")), 2, function(d, tap) return w(name .. "_conv1d.weight")(d, 0, tap) end)
      return function(t, d) return plain.silu(y(t, d)) end
    end
    local function unit(y) return function(t, d) return y(t, d) * (total(2, function(j) return y(t, d // 2 * 2 + j) ^ 2 end) + 1e-6) ^ -0.5 end end
    local q, k, v, S = unit(path "q"), unit(path "k"), path "v", nil
    local beta, a, gate = plain.linear(x, 4, w "b_proj.weight"), plain.linear(x, 4, w "a_proj.weight", w "dt_bias"), plain.linear(x, 4, w "g_proj.weight")
    local function keep(t, h) return math.exp(-math.exp(w "A_log"(h)) * plain.softplus(a(t, h))) end
    local function read(t, y, i, d) return total(2, function(j) return y(i, d // 2 * 2 + j) * S(t, j, d) end) end
    S = memo(function(t, j, d)
      if t < 0 then return 0 end
      local h = d // 2
      return keep(t, h) * S(t - 1, j, d) + k(t, 2 * h + j) * plain.sigmoid(beta(t, h)) * (v(t, d) - keep(t, h) * read(t - 1, k, t, d))
    end)
    local n = plain.rmsnorm(function(t, d) return 2 ^ -0.5 * read(t, q, t, d) end, 2, w "o_norm.weight", c.eps)
    return plain.linear(function(t, d) return n(t, d) * plain.silu(gate(t, d)) end, 4, w "o_proj.weight")
  end,
}
