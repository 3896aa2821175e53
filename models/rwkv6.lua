-- RWKV-6. Peng et al. 2024, "Eagle and Finch", section 4.2: RWKV-5 whose mixing with the position before and whose decay depend on the input.
-- Reads ggmf files, where the small matrices of both are stored [to, from].
return model {
  config = {
    vocab = 256, dim = 128, layers = range(2, 1, 1000), eps = 1e-5, head_eps = 64e-5,
    heads = function(c) return (weight_shape "blocks.0.att.time_faaaa" or { c.dim // 8 })[1] end,
    inner = function(c) return (weight_shape "blocks.0.att.key.weight" or { c.dim })[1] end,
    hidden = function(c) return (weight_shape "blocks.0.ffn.key.weight" or { 7 * c.dim // 2 })[1] end,
    mix_rank = function() return (weight_shape "blocks.0.att.time_maa_w1" or { 160 })[1] // 5 end,
    decay_rank = function() return (weight_shape "blocks.0.att.time_decay_w1" or { 64 })[1] end,
  },
  keys = { vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers" },
  serves = { { has = { "blocks.0.att.time_maa_x" } } },
  tokenizer = { kind = "file" },
  build = function(c)
    local T, Vo, E, D, F = axis "T", axis("vocab", c.vocab), axis("E", c.dim), axis("D", c.inner), axis("F", c.hidden)
    local H, K, V = axis("H", c.heads), axis("K", c.inner // c.heads), axis("V", c.inner // c.heads)
    local five, R, R5, Rd = axis("w,k,v,r,g", 5), axis("R", c.mix_rank), axis("5R", 5 * c.mix_rank), axis("Rd", c.decay_rank)
    local zero = zeros { H, K, V }
    local function attend(x)
      local back = shift(x, T, 1) - x
      local m = tanh(dot(x + back * weight("time_maa_x", { E }), weight("time_maa_w1", { R5, E }), E)):split(R5, { five, R })
      local more = dot(m, weight("time_maa_w2", { five, E, R }), R)
      local function mixed(i, letter) return x + back * (more:at(five, i) + weight("time_maa_" .. letter, { E })) end
      local lora = dot(tanh(dot(mixed(0, "w"), weight("time_decay_w1", { Rd, E }), E)), weight("time_decay_w2", { D, Rd }), Rd)
      local w = exp(-exp(lora:split(D, { H, K }) + weight("time_decay", { H, K })))
      local k, v = linear(mixed(1, "k"), E, D, "key"):split(D, { H, K }), linear(mixed(2, "v"), E, D, "value"):split(D, { H, V })
      local r, g = linear(mixed(3, "r"), E, D, "receptance"):split(D, { H, K }), silu(linear(mixed(4, "g"), E, D, "gate"))
      local u = weight("time_faaaa", { H, K })
      local o = scan(T, { S = zero }, function(s)
        local kv = k * v
        return dot(s.S + u * kv, r, K), { S = w * s.S + kv }
      end)
      return linear(groupnorm(o, H, V, D, "ln_x", c.head_eps) * g, D, E, "output")
    end
    local function feed(x)
      local back = shift(x, T, 1) - x
      local r = sigmoid(linear(x + back * weight("time_maa_r", { E }), E, E, "receptance"))
      return r * linear(relu2(linear(x + back * weight("time_maa_k", { E }), E, F, "key")), F, E, "value")
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
