-- A linear transformer. Katharopoulos et al. 2020, "Transformers are RNNs", eq. 9 and 18 to 20: attention whose kernel is a product of
-- positive features phi = elu + 1, divided by the sum of its weights.
--   S_t = S_{t-1} + phi(k_t) v_t',  z_t = z_{t-1} + phi(k_t),  o_t = S_t' phi(q_t) / (z_t . phi(q_t) + least)
return decoder {
  config = { heads = 4, positions = 1024, least = 1e-6 },
  mixer = function(x, T, D, c)
    local H, K, V = axis("H", c.heads), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads)
    local q, k, v = elu1(to_heads(x, D, H, K, "q_proj")), elu1(to_heads(x, D, H, K, "k_proj")), to_heads(x, D, H, V, "v_proj")
    local o = scan(T, { S = zeros { H, K, V }, z = zeros { H, K } }, function(s)
      local S, z = s.S + k * v, s.z + k
      return dot(q, S, K) / (dot(q, z, K) + c.least), { S = S, z = z }
    end)
    return from_heads(o, H, V, D, "o_proj")
  end,
  small = { heads = 2, positions = 8 },
  by_hand = function(x, w)
    local function phi(a) return a > 0 and a + 1 or math.exp(a) end
    local q, k, v = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "k_proj.weight"), plain.linear(x, 4, w "v_proj.weight")
    local function score(t, i, h) return total(2, function(j) return phi(q(t, 2 * h + j)) * phi(k(i, 2 * h + j)) end) end
    local function o(t, d)
      local h = d // 2
      local all = total(t + 1, function(i) return score(t, i, h) end)
      return total(t + 1, function(i) return score(t, i, h) * v(i, d) end) / (all + 1e-6)
    end
    return plain.linear(o, 4, w "o_proj.weight")
  end,
}
