-- RWKV-7. Peng et al. 2025, "Goose", section 4: a delta rule with a decay and a removal strength for each channel; layers share the first one's values.
-- Reads ggmf files, where small matrices are stored [to, from] and the six mixing vectors as one tensor.
return model {
  config = {
    vocab = 256, dim = 64, layers = range(2, 1, 1000), eps = 1e-5, head_eps = 64e-5,
    heads = function(c) return (weight_shape "blocks.0.att.r_k" or { c.dim // 64 })[1] end,
    hidden = function(c) return (weight_shape "blocks.0.ffn.key.weight" or { 4 * c.dim })[1] end,
  },
  keys = { vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers" },
  serves = { { has = { "blocks.0.att.r_k" } } },
  tokenizer = { kind = "file" },
  build = function(c)
    local T, Vo, D, F = axis "T", axis("vocab", c.vocab), axis("D", c.dim), axis("F", c.hidden)
    local H, K, V, six = axis("H", c.heads), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads), axis("r,w,k,v,a,g", 6)
    local zero, first = zeros { H, K, V }, nil
    local function lora(x, letter, act)                                      -- through few channels and back
      local R = axis("R" .. letter, (weight_shape(letter .. "1") or { 32 })[1])
      return dot(act(dot(x, weight(letter .. "1", { R, D }), D)), weight(letter .. "2", { D, R }), R)
    end
    local function same(x) return x end
    local function heads(x) return x:split(D, { H, K }) end
    local function attend(x)
      local back, mix = shift(x, T, 1) - x, weight("x_rwkvag", { six, D })
      local function mixed(i) return x + back * mix:at(six, i) end
      local r, k, v = linear(mixed(0), D, D, "receptance"), linear(mixed(2), D, D, "key"), linear(mixed(3), D, D, "value")
      local w = exp(-math.exp(-0.5) * sigmoid(lora(mixed(1), "w", tanh) + weight("w0", { D })))
      local a, g = sigmoid(lora(mixed(4), "a", same) + weight("a0", { D })), lora(mixed(5), "g", sigmoid)
      if first then v = v + (first - v) * sigmoid(lora(mixed(3), "v", same) + weight("v0", { D })) end
      first = first or v
      local kk = norm2(heads(k * weight("k_k", { D })), K)                   -- what is taken out, and below how much of it
      k = k + (a - 1) * k * weight("k_a", { D })
      r, w, k, a, v = heads(r), heads(w), heads(k), heads(a), v:split(D, { H, V })
      local o = scan(T, { S = zero }, function(s)
        local S = w * s.S - a * kk * dot(s.S, kk, K) + k * v
        return dot(r, S, K), { S = S }
      end)
      local bonus = (sum(r * k * weight("r_k", { H, K }), K) * v):merge({ H, V }, D)
      return linear((groupnorm(o, H, V, D, "ln_x", c.head_eps) + bonus) * g, D, D, "output")
    end
    local function feed(x)
      local mixed = x + (shift(x, T, 1) - x) * weight("x_k", { D })
      return linear(relu2(linear(mixed, D, F, "key")), F, D, "value")
    end
    local x = layernorm(gather(weight("emb.weight", { Vo, D }), input("tokens", { T }, int), Vo), D, "blocks.0.ln0", c.eps)
    for i = 0, c.layers - 1 do
      scope("blocks", i, function()
        local n = layernorm(x, D, "ln1", c.eps)
        scope("att", function() x = x + attend(n) end)
        n = layernorm(x, D, "ln2", c.eps)
        scope("ffn", function() x = x + feed(n) end)
      end)
    end
    return { logits = linear(layernorm(x, D, "ln_out", c.eps), D, Vo, "head"):as { T, Vo } }
  end,
}
