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
    local T, E, D, F = axis "T", axis("E", c.dim), axis("D", c.inner), axis("F", c.hidden)
    local H, K, V = axis("H", c.heads), axis("K", c.inner // c.heads), axis("V", c.inner // c.heads)
    local raw = c.checkpoint_format ~= "ggmf"
    local function mixed(x, name) return lerp(shift(x, T, 1), x, weight(name, { E })) end
    local function attend(x)
      local function map(letter, name) return linear(mixed(x, "time_mix_" .. letter), E, D, name) end
      local r, k, v = map("r", "receptance"):split(D, { H, K }), map("k", "key"):split(D, { H, K }), map("v", "value"):split(D, { H, V })
      local w = weight("time_decay", c.gated and { H, K } or { H })
      local u = c.gated and weight("time_faaaa", { H, K }) or weight("time_first", { H })
      if raw then w, u = exp(-exp(w)), c.gated and u or exp(u) end
      local o = bonus_scan(r, k, v, w, u, T, K, zeros { H, K, V })
      o = groupnorm(o, H, V, D, "ln_x", c.head_eps)
      return linear(c.gated and o * silu(map("g", "gate")) or o, D, E, "output")
    end
    local function feed(x)
      local r = sigmoid(linear(mixed(x, "time_mix_r"), E, E, "receptance"))
      return r * mlp(mixed(x, "time_mix_k"), E, F, { "key", "value" }, relu2)
    end
    local function norm(x, name) return layernorm(x, E, name, c.eps) end
    return language_model(T, E, c, { "emb", "ln_out", "head" }, norm, function(x)
      return residual_layers(norm(x, "blocks.0.ln0"), c.layers, "blocks", norm, { { "ln1", "att", attend }, { "ln2", "ffn", feed } })
    end)
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 4, heads = 2, hidden = 3, layers = 1, eps = 0.01, head_eps = 0.02 },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 2 },
      expect = function(x)
        local function w(name) return x.weight["blocks.0." .. name] end
        local function norm(y, name) return plain.layernorm(y, 4, x.weight[name .. ".weight"], x.weight[name .. ".bias"], 0.01) end
        local plus, before = plain.plus, plain.before
        local function mixed(y, name, n, map)
          local function m(t, d) return w(name)(d) * y(t, d) + (1 - w(name)(d)) * before(y, t, d) end
          return plain.linear(m, n, w(map .. ".weight"))
        end
        local e = norm(function(t, d) return x.weight["emb.weight"](x.tokens(t), d) end, "blocks.0.ln0")
        local n = norm(e, "blocks.0.ln1")
        local function part(letter, map) return mixed(n, "att.time_mix_" .. letter, 4, "att." .. map) end
        local r, k, v, g = part("r", "receptance"), part("k", "key"), part("v", "value"), part("g", "gate")
        local function o(t, d)                 -- channel d of the state's columns; rows are those of its head
          local h = d // 2
          return total(2, function(j)
            local decay, rows = math.exp(-math.exp(w "att.time_decay"(h, j))), 2 * h + j
            local past = total(t, function(i) return decay ^ (t - 1 - i) * k(i, rows) * v(i, d) end)
            return r(t, rows) * (past + w "att.time_faaaa"(h, j) * k(t, rows) * v(t, d))
          end)
        end
        local y = plain.layernorm(o, 2, w "att.ln_x.weight", w "att.ln_x.bias", 0.02)
        e = plus(e, plain.linear(function(t, d) return y(t, d) * plain.silu(g(t, d)) end, 4, w "att.output.weight"))
        n = norm(e, "blocks.0.ln2")
        local key, gate = mixed(n, "ffn.time_mix_k", 4, "ffn.key"), mixed(n, "ffn.time_mix_r", 4, "ffn.receptance")
        local value = plain.linear(function(t, f) return math.max(key(t, f), 0) ^ 2 end, 3, w "ffn.value.weight")
        e = plus(e, function(t, d) return plain.sigmoid(gate(t, d)) * value(t, d) end)
        return { logits = plain.linear(norm(e, "ln_out"), 4, x.weight["head.weight"]) }
      end,
    },
  },
}
