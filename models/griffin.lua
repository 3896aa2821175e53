-- A Griffin-like hybrid. De et al. 2024, "Griffin: Mixing Gated Linear Recurrences with Local Attention", section 2.3 and 2.4: blocks with a
-- real-gated linear recurrent unit, and attention with a window and one key head between them, in the order of `pattern`.
--   r, i = sigmoid(Wa x + ba), sigmoid(Wx x + bx),  a = exp(-8 softplus(Lambda) r),  h_t = a h_{t-1} + sqrt(1 - a^2) (i * x)
--   recurrent block: y = Wo (gelu(Wy x) * h(conv4(Wx x)))
local kinds, by_hand = {}, {}

function kinds.recurrent(x, T, D, c)
  local E = axis("E", c.width)
  local y = causal_conv(linear(x, D, E, "linear_x"), T, c.conv, "conv", true)
  local r, i = sigmoid(linear(y, E, E, "a_gate", true)), sigmoid(linear(y, E, E, "x_gate", true))
  local a = exp(-8 * softplus(weight("lambda", { E })) * r)
  local h = scan(T, { h = zeros { E } }, function(s)
    local h = a * s.h + sqrt(1 - a * a) * i * y
    return h, { h = h }
  end)
  return linear(gelu_tanh(linear(x, D, E, "linear_y")) * h, E, D, "linear_out")
end

function kinds.attention(x, T, D, c)           -- G groups of query heads share a key head
  local H, G, K, V = axis("kv", c.kv_heads), axis("G", c.heads // c.kv_heads), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads)
  local HG = axis("H", c.heads)
  local q = rope(to_heads(x, D, HG, K, "q_proj"):split(HG, { H, G }), T, K, c.rope_theta)
  local k, v = rope(to_heads(x, D, H, K, "k_proj"), T, K, c.rope_theta), to_heads(x, D, H, V, "v_proj")
  local o = attention(q, k, v, T, K, c.window > 0 and sliding(c.window) or causal)
  return from_heads(o:merge({ H, G }, HG), HG, V, D, "o_proj")
end

function by_hand.recurrent(x, w)
  local y = plain.conv(plain.linear(x, 4, w "linear_x.weight"), 2, w "conv.weight", w "conv.bias")
  local r, i = plain.linear(y, 3, w "a_gate.weight", w "a_gate.bias"), plain.linear(y, 3, w "x_gate.weight", w "x_gate.bias")
  local g, h = plain.linear(x, 4, w "linear_y.weight"), nil
  h = memo(function(t, e)
    if t < 0 then return 0 end
    local a = math.exp(-8 * plain.softplus(w "lambda"(e)) * plain.sigmoid(r(t, e)))
    return a * h(t - 1, e) + (1 - a * a) ^ 0.5 * plain.sigmoid(i(t, e)) * y(t, e)
  end)
  return plain.linear(function(t, e) return plain.gelu_tanh(g(t, e)) * h(t, e) end, 3, w "linear_out.weight")
end

function by_hand.attention(x, w, c)            -- two query heads, one key head
  local q, k, v = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "k_proj.weight"), plain.linear(x, 4, w "v_proj.weight")
  local function e(t, i, h)                    -- a pair of channels turns by one radian a step
    if c.window > 0 and t - i >= c.window then return 0 end
    local a, b = k(i, 0), k(i, 1)
    local s = q(t, 2 * h) * (a * math.cos(i - t) - b * math.sin(i - t)) + q(t, 2 * h + 1) * (b * math.cos(i - t) + a * math.sin(i - t))
    return math.exp(s * 2 ^ -0.5)
  end
  local function o(t, d)
    return total(t + 1, function(i) return e(t, i, d // 2) * v(i, d % 2) end) / total(t + 1, function(i) return e(t, i, d // 2) end)
  end
  return plain.linear(o, 4, w "o_proj.weight")
end

return decoder {
  kinds = kinds, kinds_by_hand = by_hand,
  config = {
    context = 4096, pattern = "recurrent recurrent attention", width = function(c) return c.dim end, conv = 4, heads = 4, kv_heads = 1,
    window = 1024, rope_theta = 1e4,
  },
  small = { layers = 3, width = 3, conv = 2, heads = 2, window = 2 },
}
