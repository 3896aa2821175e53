-- HGRN2. Qin et al. 2024, "Gated Linear RNNs with State Expansion", eq. 8 to 12: what a key channel forgets is what it writes. Layers
-- have lower bounds of their gates that grow with the depth: a running sum of a softmax over the layers.
--   f = lb + (1 - lb) sigmoid(Wf x),  S_t = diag(f_t) S_{t-1} + (1 - f_t) v_t',  o_t = S_t' silu(Wq x),  y = Wo norm(o)
return decoder {
  config = { heads = 4 },
  keys = { heads = "num_heads" },
  shared = function(c)                         -- of a channel in each layer, as a running sum
    local H, K, L = axis("H", c.heads), axis("K", c.dim // c.heads), axis("L", c.layers)
    local all = axis("H*K", c.dim)
    local share = softmax(weight("lower_bounds", { L, all }):split(all, { H, K }), L)
    return cumsum(where(ge(iota(L), 1), share, 0), L)
  end,
  mixer = function(x, T, D, c, i, bounds)
    local H, K, V, L = axis("H", c.heads), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads), axis("L", c.layers)
    local q, v = silu(to_heads(x, D, H, K, "q_proj")), to_heads(x, D, H, V, "i_proj")
    local bound = bounds:at(L, i)
    local f = bound + (1 - bound) * sigmoid(to_heads(x, D, H, K, "f_proj"))
    local o = gated_scan(q, 1 - f, v, f, T, K, zeros { H, K, V })
    return from_heads(rmsnorm(o, V, "g_norm", c.eps), H, V, D, "o_proj")
  end,
  small = { heads = 2 },
  by_hand = function(x, w, c, layer, all)
    local q, f, v, S = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "f_proj.weight"), plain.linear(x, 4, w "i_proj.weight"), nil
    local keep = memo(function(t, i)
      local a, b = math.exp(all.weight["model.lower_bounds"](0, i)), math.exp(all.weight["model.lower_bounds"](1, i))
      local least = layer == 0 and 0 or b / (a + b)
      return least + (1 - least) * plain.sigmoid(f(t, i))
    end)
    S = memo(function(t, i, d) return t < 0 and 0 or keep(t, i) * S(t - 1, i, d) + (1 - keep(t, i)) * v(t, d) end)
    local function o(t, d) return total(2, function(j) return plain.silu(q(t, d // 2 * 2 + j)) * S(t, d // 2 * 2 + j, d) end) end
    return plain.linear(plain.rmsnorm(o, 2, w "g_norm.weight", c.eps), 4, w "o_proj.weight")
  end,
}
