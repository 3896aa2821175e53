-- RWKV-5. Peng et al. 2024, "Eagle and Finch", section 4.2: heads with a matrix state; 5.2 adds a gate and a decay for each channel.
-- Reads ggmf files, which hold exp(-exp(time_decay)) in place of time_decay and, in 5.1, exp(time_first) in place of time_first.
return model {
  config = {
    vocab = 256, dim = 64, layers = range(2, 1, 1000), eps = 1e-5, head_eps = 1e-5, checkpoint_format = "",
    heads = function(c) return (weight_shape "blocks.0.att.time_decay" or { c.dim // 8 })[1] end,
    inner = function(c) return (weight_shape "blocks.0.att.key.weight" or { c.dim })[1] end,
    hidden = function(c) return (weight_shape "blocks.0.ffn.key.weight" or { 4 * c.dim })[1] end,
    gated = function() return weight_shape "blocks.0.att.time_decay" == nil or has_weight "blocks.0.att.gate.weight" end,
  },
  keys = { vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers" },
  serves = { { has = { "blocks.0.att.time_mix_k", "blocks.0.att.ln_x.weight" } } },
  tokenizer = { kind = "file" },
  build = function(c)
    local T, Vo, E, D, F = axis "T", axis("vocab", c.vocab), axis("E", c.dim), axis("D", c.inner), axis("F", c.hidden)
    local H, K, V = axis("H", c.heads), axis("K", c.inner // c.heads), axis("V", c.inner // c.heads)
    local raw, zero = c.checkpoint_format ~= "ggmf", zeros { H, K, V }
    local function mixed(x, name)                                            -- with the position before
      local before = shift(x, T, 1)
      return before + (x - before) * weight(name, { E })
    end
    local function attend(x)
      local function map(letter, name) return linear(mixed(x, "time_mix_" .. letter), E, D, name) end
      local r, k, v = map("r", "receptance"):split(D, { H, K }), map("k", "key"):split(D, { H, K }), map("v", "value"):split(D, { H, V })
      local w = weight("time_decay", c.gated and { H, K } or { H })
      local u = c.gated and weight("time_faaaa", { H, K }) or weight("time_first", { H })
      if raw then w, u = exp(-exp(w)), c.gated and u or exp(u) end
      local o = scan(T, { S = zero }, function(s)
        local kv = k * v
        return dot(s.S + u * kv, r, K), { S = w * s.S + kv }
      end)
      o = groupnorm(o, H, V, D, "ln_x", c.head_eps)
      return linear(c.gated and o * silu(map("g", "gate")) or o, D, E, "output")
    end
    local function feed(x)
      local r = sigmoid(linear(mixed(x, "time_mix_r"), E, E, "receptance"))
      return r * linear(relu2(linear(mixed(x, "time_mix_k"), E, F, "key")), F, E, "value")
    end
    local x = layernorm(gather(weight("emb.weight", { Vo, E }), input("tokens", { T }, int), Vo), E, "blocks.0.ln0", c.eps)
    for i = 0, c.layers - 1 do
      scope("blocks", i, function()
        local n = layernorm(x, E, "ln1", c.eps)
        scope("att", function() x = x + attend(n) end)
        n = layernorm(x, E, "ln2", c.eps)
        scope("ffn", function() x = x + feed(n) end)
      end)
    end
    return { logits = linear(layernorm(x, E, "ln_out", c.eps), E, Vo, "head"):as { T, Vo } }
  end,
}
