-- Gated linear attention. Yang et al. 2023, "Gated Linear Attention Transformers with Hardware-Efficient Training", section 4.4: every key
-- channel forgets at a rate that the token chooses, through a matrix of low rank.
--   gk = logsigmoid(W2 W1 x + b) / 16,  S_t = diag(exp(gk_t)) S_{t-1} + k_t v_t',  o_t = S_t' q_t,  y = Wo (silu(Wg x) * norm(o))
return decoder {
  config = { heads = 4, expand_k = 0.5, expand_v = 1.0, gate_rank = 16, gate_divisor = 16 },
  keys = { heads = "num_heads", gate_rank = "gate_low_rank_dim", gate_divisor = "gate_logit_normalizer" },
  mixer = function(x, T, D, c)
    local H, R = axis("H", c.heads), axis("rank", c.gate_rank)
    local K, V = axis("K", c.dim * c.expand_k // c.heads), axis("V", c.dim * c.expand_v // c.heads)
    local q, k, v = to_heads(x, D, H, K, "q_proj"), to_heads(x, D, H, K, "k_proj"), to_heads(x, D, H, V, "v_proj")
    local gk = logsigmoid(to_heads(linear(x, D, R, "gk_proj.0"), R, H, K, "gk_proj.1", true)) / c.gate_divisor
    local o = gated_scan(q * size(K) ^ -0.5, k, v, exp(gk), T, K, zeros { H, K, V })
    return from_heads(rmsnorm(o, V, "g_norm_swish_gate", c.eps) * silu(to_heads(x, D, H, V, "g_proj")), H, V, D, "o_proj")
  end,
  small = { heads = 2, expand_k = 1.0, gate_rank = 1, gate_divisor = 2 },
  by_hand = function(x, w, c)
    local q, k = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "k_proj.weight")
    local v, g = plain.linear(x, 4, w "v_proj.weight"), plain.linear(x, 4, w "g_proj.weight")
    local gate, S = plain.linear(plain.linear(x, 4, w "gk_proj.0.weight"), 1, w "gk_proj.1.weight", w "gk_proj.1.bias"), nil
    S = memo(function(t, i, d) return t < 0 and 0 or plain.sigmoid(gate(t, i)) ^ 0.5 * S(t - 1, i, d) + k(t, i) * v(t, d) end)
    local o = memo(function(t, d)
      local h = d // 2
      return 2 ^ -0.5 * total(2, function(j) return q(t, 2 * h + j) * S(t, 2 * h + j, d) end)
    end)
    local n = plain.rmsnorm(o, 2, w "g_norm_swish_gate.weight", c.eps)
    return plain.linear(function(t, d) return n(t, d) * plain.silu(g(t, d)) end, 4, w "o_proj.weight")
  end,
}
