-- RetNet. Sun et al. 2023, eq. 5 to 8: rotated queries and keys, a decay per head that never changes, a norm per head, a gate.
--   S_t = a_h S_{t-1} + k_t v_t',  a_h = 1 - 2^(-5-h),  o_t = S_t' q_t,  y = Wo (silu(Wg x) * norm(o))
return decoder {
  config = { heads = 4, expand_k = 1.0, expand_v = 2.0, rope_theta = 1e4 },
  keys = { heads = "num_heads" },
  mixer = function(x, T, D, c)
    local H = axis("H", c.heads)
    local K, V = axis("K", c.dim * c.expand_k // c.heads), axis("V", c.dim * c.expand_v // c.heads)
    local q, k = rope(to_heads(x, D, H, K, "q_proj"), T, K, c.rope_theta), rope(to_heads(x, D, H, K, "k_proj"), T, K, c.rope_theta)
    local a = 1 - pow(2.0, -5 - iota(H))
    local o = gated_scan(q * size(K) ^ -0.5, k, to_heads(x, D, H, V, "v_proj"), a, T, K, zeros { H, K, V })
    return from_heads(rmsnorm(o, V, "g_norm_swish_gate", c.eps) * silu(to_heads(x, D, H, V, "g_proj")), H, V, D, "o_proj")
  end,
  small = { heads = 2, expand_v = 1.0 },
  by_hand = function(x, w, c)                  -- as attention that forgets; a pair of channels turns by one radian a step
    local q, k = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "k_proj.weight")
    local v, g = plain.linear(x, 4, w "v_proj.weight"), plain.linear(x, 4, w "g_proj.weight")
    local function score(t, i, h)
      local a, b = k(i, 2 * h), k(i, 2 * h + 1)
      local turned = { a * math.cos(i - t) - b * math.sin(i - t), b * math.cos(i - t) + a * math.sin(i - t) }
      return (1 - 2 ^ (-5 - h)) ^ (t - i) * 2 ^ -0.5 * (q(t, 2 * h) * turned[1] + q(t, 2 * h + 1) * turned[2])
    end
    local o = memo(function(t, d) return total(t + 1, function(i) return score(t, i, d // 2) * v(i, d) end) end)
    local n = plain.rmsnorm(o, 2, w "g_norm_swish_gate.weight", c.eps)
    return plain.linear(function(t, d) return n(t, d) * plain.silu(g(t, d)) end, 4, w "o_proj.weight")
  end,
}
