-- RWKV-4. Peng et al. 2023, eq. 11 to 19: each position mixes with the one before; a decaying weighted mean of values takes attention's place.
-- Reads Hugging Face folders and ggmf files, which name tensors as the original does and hold -exp(time_decay) in place of time_decay.
local names = { ["rwkv.embeddings.weight"] = "emb.weight", ["rwkv.ln_out.weight"] = "ln_out.weight", ["rwkv.ln_out.bias"] = "ln_out.bias" }
local short = {
  attention = { "att", "time_decay", "time_first", "time_mix_key", "time_mix_value", "time_mix_receptance", "key.weight", "value.weight", "receptance.weight", "output.weight" },
  feed_forward = { "ffn", "time_mix_key", "time_mix_receptance", "key.weight", "value.weight", "receptance.weight" },
  pre_ln = { "ln0", "weight", "bias" }, ln1 = { "ln1", "weight", "bias" }, ln2 = { "ln2", "weight", "bias" },
}
local letters = { time_mix_key = "time_mix_k", time_mix_value = "time_mix_v", time_mix_receptance = "time_mix_r" }
for long, list in pairs(short) do
  for i = 2, #list do names["rwkv.blocks.#." .. long .. "." .. list[i]] = "blocks.#." .. list[1] .. "." .. (letters[list[i]] or list[i]) end
end

return model {
  config = {
    vocab = 256, dim = 64, layers = range(2, 1, 1000), eps = 1e-5, checkpoint_format = "hf", rescale = 0,
    inner = function(c) return c.dim end,
    hidden = function(c) return (weight_shape "blocks.0.ffn.key.weight" or { 4 * c.dim })[1] end,
    tied = function() return not has_weight("head.weight") end,
  },
  keys = {
    vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers", inner = "attention_hidden_size", hidden = "intermediate_size",
    eps = "layer_norm_epsilon", rescale = "rescale_every", tied = "tie_word_embeddings",
  },
  names = names,
  serves = { "rwkv", { has = { "blocks.0.att.time_mix_k" }, lacks = { "blocks.0.att.ln_x.weight" } } },
  tokenizer = { kind = "file" },
  build = function(c)
    local T, Vo, E, D, F = axis "T", axis("vocab", c.vocab), axis("E", c.dim), axis("D", c.inner), axis("F", c.hidden)
    local zero, least = zeros { D }, full({ D }, -1e38)
    local function mixed(x, name) return lerp(shift(x, T, 1), x, weight(name, { E })) end
    local function attend(x)
      local r = sigmoid(linear(mixed(x, "time_mix_r"), E, D, "receptance"))
      local k, v = linear(mixed(x, "time_mix_k"), E, D, "key"), linear(mixed(x, "time_mix_v"), E, D, "value")
      local w, u = weight("time_decay", { D }), weight("time_first", { D })
      if c.checkpoint_format ~= "ggmf" then w = -exp(w) end
      local o = scan(T, { num = zero, den = zero, max = least }, function(s) -- exponents stay below a running maximum
        local m = maximum(s.max, u + k)
        local old, new = exp(s.max - m), exp(u + k - m)
        local o = (old * s.num + new * v) / (old * s.den + new)
        local top = maximum(s.max + w, k)
        old, new = exp(s.max + w - top), exp(k - top)
        return o, { num = old * s.num + new * v, den = old * s.den + new, max = top }
      end)
      return linear(r * o, D, E, "output")
    end
    local function feed(x)
      local r = sigmoid(linear(mixed(x, "time_mix_r"), E, E, "receptance"))
      return r * mlp(mixed(x, "time_mix_k"), E, F, { "key", "value" }, relu2)
    end
    local embed = weight("emb.weight", { Vo, E })
    local x = layernorm(gather(embed, input("tokens", { T }, int), Vo), E, "blocks.0.ln0", c.eps)
    for i = 0, c.layers - 1 do
      local halved = c.rescale > 0 and 2.0 ^ -(i // c.rescale) or 1        -- kept small for f16; only eps tells the difference
      scope("blocks", i, function()
        local n = layernorm(x, E, "ln1", c.eps)
        scope("att", function() x = x + attend(n) * halved end)
        n = layernorm(x, E, "ln2", c.eps)
        scope("ffn", function() x = x + feed(n) * halved end)
      end)
      if c.rescale > 0 and (i + 1) % c.rescale == 0 then x = x / 2 end
    end
    local head = c.tied and embed or weight("head.weight", { Vo, E })
    return { logits = dot(layernorm(x, E, "ln_out", 1e-5), head, E):as { T, Vo } }
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 2, inner = 3, hidden = 3, layers = 1, eps = 0.01, rescale = 0, tied = false },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 1 },
      expect = function(x)
        local function w(name) return x.weight["blocks.0." .. name] end
        local function norm(y, name) return plain.layernorm(y, 2, x.weight[name .. ".weight"], x.weight[name .. ".bias"], 0.01) end
        local plus, before = plain.plus, plain.before
        local function mixed(y, name, n, map)
          local function m(t, d) return w(name)(d) * y(t, d) + (1 - w(name)(d)) * before(y, t, d) end
          return plain.linear(m, n, w(map .. ".weight"))
        end
        local e = norm(function(t, d) return x.weight["emb.weight"](x.tokens(t), d) end, "blocks.0.ln0")
        local n = norm(e, "blocks.0.ln1")
        local k, v, r = mixed(n, "att.time_mix_k", 2, "att.key"), mixed(n, "att.time_mix_v", 2, "att.value"), mixed(n, "att.time_mix_r", 2, "att.receptance")
        local function o(t, d)                 -- without a running maximum: the exponents are small here
          local function mean(f)
            return total(t, function(i) return math.exp(k(i, d) - (t - 1 - i) * math.exp(w "att.time_decay"(d))) * f(i) end)
              + math.exp(k(t, d) + w "att.time_first"(d)) * f(t)
          end
          return plain.sigmoid(r(t, d)) * mean(function(i) return v(i, d) end) / mean(function() return 1 end)
        end
        e = plus(e, plain.linear(o, 3, w "att.output.weight"))
        n = norm(e, "blocks.0.ln2")
        local key, gate = mixed(n, "ffn.time_mix_k", 2, "ffn.key"), mixed(n, "ffn.time_mix_r", 2, "ffn.receptance")
        local value = plain.linear(function(t, f) return math.max(key(t, f), 0) ^ 2 end, 3, w "ffn.value.weight")
        e = plus(e, function(t, d) return plain.sigmoid(gate(t, d)) * value(t, d) end)
        local last = plain.layernorm(e, 2, x.weight["ln_out.weight"], x.weight["ln_out.bias"], 1e-5)
        return { logits = plain.linear(last, 2, x.weight["head.weight"]) }
      end,
    },
  },
}
