-- DeltaNet. Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", eq. 4 and figure 2: short
-- convolutions, keys of length one, and a write that replaces what was stored at the key.
--   S_t = S_{t-1} + k_t (beta_t (v_t - S_{t-1}' k_t))',  o_t = S_t' q_t,  y = Wo norm(o)
return decoder {
  config = { heads = 4, expand_k = 1.0, expand_v = 1.0, conv = 4, negative_eigenvalues = false },
  keys = { heads = "num_heads", conv = "conv_size", negative_eigenvalues = "allow_neg_eigval" },
  mixer = function(x, T, D, c)
    local H = axis("H", c.heads)
    local K, V = axis("K", c.dim * c.expand_k // c.heads), axis("V", c.dim * c.expand_v // c.heads)
    local q, k, v = conv_heads(x, T, D, H, K, c.conv, "q"), conv_heads(x, T, D, H, K, c.conv, "k"), conv_heads(x, T, D, H, V, c.conv, "v")
    local beta = sigmoid(linear(x, D, H, "b_proj")) * (c.negative_eigenvalues and 2 or 1)
    q, k = unit(q, K) * size(K) ^ -0.5, unit(k, K)
    local o = delta_scan(q, k, v, beta, 1, T, K, zeros { H, K, V })
    return from_heads(rmsnorm(o, V, "o_norm", c.eps), H, V, D, "o_proj")
  end,
  small = { heads = 2, conv = 2, negative_eigenvalues = true },
  by_hand = function(x, w, c)
    local function path(name)                  -- projection, convolution, silu
      local y = plain.conv(plain.linear(x, 4, w(name .. "_proj.weight")), 2, function(d, tap) return w(name .. "_conv1d.weight")(d, 0, tap) end)
      return function(t, d) return plain.silu(y(t, d)) end
    end
    local function unit(y) return function(t, d) return y(t, d) * (total(2, function(j) return y(t, d // 2 * 2 + j) ^ 2 end) + 1e-6) ^ -0.5 end end
    local q, k, v, S = unit(path "q"), unit(path "k"), path "v", nil
    local beta = plain.linear(x, 4, w "b_proj.weight")
    local function read(t, y, i, d) return total(2, function(j) return y(i, d // 2 * 2 + j) * S(t, j, d) end) end
    S = memo(function(t, j, d)
      if t < 0 then return 0 end
      return S(t - 1, j, d) + k(t, d // 2 * 2 + j) * 2 * plain.sigmoid(beta(t, d // 2)) * (v(t, d) - read(t - 1, k, t, d))
    end)
    local n = plain.rmsnorm(function(t, d) return 2 ^ -0.5 * read(t, q, t, d) end, 2, w "o_norm.weight", c.eps)
    return plain.linear(n, 4, w "o_proj.weight")
  end,
}
