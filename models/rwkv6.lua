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
    local T, E, D, F = axis "T", axis("E", c.dim), axis("D", c.inner), axis("F", c.hidden)
    local H, K, V = axis("H", c.heads), axis("K", c.inner // c.heads), axis("V", c.inner // c.heads)
    local five, R, R5, Rd = axis("w,k,v,r,g", 5), axis("R", c.mix_rank), axis("5R", 5 * c.mix_rank), axis("Rd", c.decay_rank)
    local function attend(x)
      local m = tanh(dot(token_shift(x, T, weight("time_maa_x", { E })), weight("time_maa_w1", { R5, E }), E)):split(R5, { five, R })
      local more = dot(m, weight("time_maa_w2", { five, E, R }), R)
      local function mixed(i, letter) return token_shift(x, T, more:at(five, i) + weight("time_maa_" .. letter, { E })) end
      local lora = dot(tanh(dot(mixed(0, "w"), weight("time_decay_w1", { Rd, E }), E)), weight("time_decay_w2", { D, Rd }), Rd)
      local w = exp(-exp(lora:split(D, { H, K }) + weight("time_decay", { H, K })))
      local k, v = linear(mixed(1, "k"), E, D, "key"):split(D, { H, K }), linear(mixed(2, "v"), E, D, "value"):split(D, { H, V })
      local r, g = linear(mixed(3, "r"), E, D, "receptance"):split(D, { H, K }), silu(linear(mixed(4, "g"), E, D, "gate"))
      local u = weight("time_faaaa", { H, K })
      local o = bonus_scan(r, k, v, w, u, T, K, zeros { H, K, V })
      return linear(groupnorm(o, H, V, D, "ln_x", c.head_eps) * g, D, E, "output")
    end
    local function feed(x)
      local function mixed(letter) return token_shift(x, T, weight("time_maa_" .. letter, { E })) end
      return sigmoid(linear(mixed "r", E, E, "receptance")) * mlp(mixed "k", E, F, { "key", "value" }, relu2)
    end
    local function norm(x, name) return layernorm(x, E, name, c.eps) end
    return language_model(T, E, c, { "emb", "ln_out", "head" }, norm, function(x)
      return residual_layers(norm(x, "blocks.0.ln0"), c.layers, "blocks", norm, { { "ln1", "att", attend }, { "ln2", "ffn", feed } })
    end)
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 4, heads = 2, hidden = 3, layers = 1, eps = 0.01, head_eps = 0.02, mix_rank = 1, decay_rank = 1 },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 3 },
      expect = function(x)
        local function w(name) return x.weight["blocks.0." .. name] end
        local function norm(y, name) return plain.layernorm(y, 4, x.weight[name .. ".weight"], x.weight[name .. ".bias"], 0.01) end
        local plus, before = plain.plus, plain.before
        local function back(y, t, d) return before(y, t, d) - y(t, d) end
        local function mapped(y, how, name)
          return plain.linear(function(t, d) return y(t, d) + back(y, t, d) * how(t, d) end, 4, w(name))
        end
        local function always(name) return function(_, d) return w(name)(d) end end
        local e = norm(function(t, d) return x.weight["emb.weight"](x.tokens(t), d) end, "blocks.0.ln0")
        local n = norm(e, "blocks.0.ln1")
        local low = mapped(n, always "att.time_maa_x", "att.time_maa_w1")
        local function part(i, letter, name)
          local function how(t, d) return plain.tanh(low(t, i)) * w "att.time_maa_w2"(i, d, 0) + w("att.time_maa_" .. letter)(d) end
          return mapped(n, how, name)
        end
        local wl, k, v = part(0, "w", "att.time_decay_w1"), part(1, "k", "att.key.weight"), part(2, "v", "att.value.weight")
        local r, g = part(3, "r", "att.receptance.weight"), part(4, "g", "att.gate.weight")
        local function decay(t, d) return math.exp(-math.exp(plain.tanh(wl(t, 0)) * w "att.time_decay_w2"(d, 0) + w "att.time_decay"(d // 2, d % 2))) end
        local S
        S = memo(function(t, i, d) return t < 0 and 0 or decay(t, i) * S(t - 1, i, d) + k(t, i) * v(t, d) end)
        local function o(t, d)
          return total(2, function(j)
            local i = d - d % 2 + j
            return r(t, i) * (S(t - 1, i, d) + w "att.time_faaaa"(d // 2, j) * k(t, i) * v(t, d))
          end)
        end
        local y = plain.layernorm(o, 2, w "att.ln_x.weight", w "att.ln_x.bias", 0.02)
        e = plus(e, plain.linear(function(t, d) return y(t, d) * plain.silu(g(t, d)) end, 4, w "att.output.weight"))
        n = norm(e, "blocks.0.ln2")
        local key, gate = mapped(n, always "ffn.time_maa_k", "ffn.key.weight"), mapped(n, always "ffn.time_maa_r", "ffn.receptance.weight")
        local value = plain.linear(function(t, f) return math.max(key(t, f), 0) ^ 2 end, 3, w "ffn.value.weight")
        e = plus(e, function(t, d) return plain.sigmoid(gate(t, d)) * value(t, d) end)
        return { logits = plain.linear(norm(e, "ln_out"), 4, x.weight["head.weight"]) }
      end,
    },
  },
}
