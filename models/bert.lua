-- BERT. Devlin et al. 2018: an encoder, every position sees every other; norms after the sums. `hidden` is the last layer, `logits` the guesses
-- of its masked-language head where the checkpoint has one. Not generated step by step: a whole sequence at a time.
-- Reads Hugging Face folders; the names there come with and without the prefix "bert.", and norms as weight and bias or gamma and beta.
-- DistilBERT is the same without types of tokens, under other names.
local norms = { "embeddings.LayerNorm", "encoder.layer.#.attention.output.LayerNorm", "encoder.layer.#.output.LayerNorm", "cls.predictions.transform.LayerNorm" }
local maps = { "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense" }
local list, names = {}, {}
for _, n in ipairs { "word", "position", "token_type" } do list[#list + 1] = "embeddings." .. n .. "_embeddings.weight" end
for _, n in ipairs(maps) do
  list[#list + 1] = "encoder.layer.#." .. n .. ".weight"
  list[#list + 1] = "encoder.layer.#." .. n .. ".bias"
end
for _, n in ipairs(norms) do
  for new, old in pairs { weight = "gamma", bias = "beta" } do
    names[n .. "." .. old] = n .. "." .. new
    names["bert." .. n .. "." .. old] = n .. "." .. new
    list[#list + 1] = n .. "." .. new
  end
end
local distil = {
  ["attention.q_lin"] = maps[1], ["attention.k_lin"] = maps[2], ["attention.v_lin"] = maps[3], ["attention.out_lin"] = maps[4],
  ["ffn.lin1"] = maps[5], ["ffn.lin2"] = maps[6], sa_layer_norm = "attention.output.LayerNorm", output_layer_norm = "output.LayerNorm",
}
for _, part in ipairs { ".weight", ".bias" } do
  for old, new in pairs(distil) do names["distilbert.transformer.layer.#." .. old .. part] = "encoder.layer.#." .. new .. part end
  names["distilbert.embeddings.LayerNorm" .. part] = "embeddings.LayerNorm" .. part
  names["vocab_transform" .. part], names["vocab_layer_norm" .. part] = "cls.predictions.transform.dense" .. part, "cls.predictions.transform.LayerNorm" .. part
  names["vocab_projector" .. part] = "cls.predictions.decoder" .. part
end
for _, n in ipairs { "word", "position" } do names["distilbert.embeddings." .. n .. "_embeddings.weight"] = "embeddings." .. n .. "_embeddings.weight" end

return model {
  config = {
    vocab = 256, dim = 64, hidden = 128, layers = range(2, 1, 1000), heads = 4, context = 512, types = function(c) return c.model_type == "distilbert" and 0 or 2 end, model_type = "bert", eps = 1e-12,
    act = any_activation "gelu", position = choice("absolute"), is_decoder = choice(false), add_cross_attention = choice(false),
    tied = function() return not has_weight("cls.predictions.decoder.weight") end,
  },
  keys = {
    vocab = "vocab_size", dim = "hidden_size", hidden = { "intermediate_size", "hidden_dim" }, layers = { "num_hidden_layers", "n_layers" },
    heads = { "num_attention_heads", "n_heads" }, context = "max_position_embeddings", types = "type_vocab_size", eps = "layer_norm_eps",
    act = { "hidden_act", "activation" },
    position = "position_embedding_type", tied = "tie_word_embeddings",
  },
  names = merged(prefixed("bert.", "", list), names),
  serves = { "distilbert" },
  tokenizer = { kind = "file" },
  context = "context",
  build = function(c)
    local T, Vo, D, F = axis "T", axis("vocab", c.vocab), axis("D", c.dim), axis("F", c.hidden)
    local P, H, K, Kv = axis("positions", c.context), axis("H", c.heads), axis("K", c.dim // c.heads), axis("Kv", c.dim // c.heads)
    local act = activation(c.act)
    local tokens, mask = input("tokens", { T }, int), input("mask", { T }, int, 1)
    local function real(_, J) return where(ne(mask:over(T, J), 0), 0, -1e30) end           -- padding counts for nothing; all padding: for the same
    local embed = weight("embeddings.word_embeddings.weight", { Vo, D })
    local x = gather(embed, tokens, Vo) + gather(weight("embeddings.position_embeddings.weight", { P, D }), pos(T), P)
    if c.types > 0 then
      local S = axis("types", c.types)
      x = x + gather(weight("embeddings.token_type_embeddings.weight", { S, D }), input("types", { T }, int, 0), S)
    end
    x = layernorm(x, D, "embeddings.LayerNorm", c.eps)
    for i = 0, c.layers - 1 do
      scope("encoder.layer", i, function()
        local function heads(name, k) return linear(x, D, D, "attention.self." .. name, true):split(D, { H, k }) end
        local o = attention(heads("query", K), heads("key", K), heads("value", Kv), T, K, nil, { bias = given "mask" and real })
        x = layernorm(x + linear(o:merge({ H, Kv }, D), D, D, "attention.output.dense", true), D, "attention.output.LayerNorm", c.eps)
        x = layernorm(x + mlp(x, D, F, { "intermediate.dense", "output.dense" }, act, true), D, "output.LayerNorm", c.eps)
      end)
    end
    local out = { hidden = x:as { T, D } }
    if has_weight "cls.predictions.transform.dense.weight" then
      local y = layernorm(act(linear(x, D, D, "cls.predictions.transform.dense", true)), D, "cls.predictions.transform.LayerNorm", c.eps)
      local head = c.tied and embed or weight("cls.predictions.decoder.weight", { Vo, D })
      local bias = has_weight "cls.predictions.decoder.bias" and "decoder.bias" or "bias"        -- two names of one, unless they are untied
      out.logits = (dot(y, head, D) + weight("cls.predictions." .. bias, { Vo })):as { T, Vo }
    end
    return out
  end,
  tests = {
    -- the last of three positions is padding: nobody reads it, though it reads the others
    padded = {
      config = { vocab = 3, dim = 2, hidden = 3, layers = 1, heads = 2, context = 4, eps = 0.01, act = "silu" },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 }, mask = { 1, 1, 0 }, types = { 0, 1, 0 } }, weights = { random = 1 },
      expect = function(x)
        local function w(name) return x.weight["encoder.layer.0." .. name] end
        local function map(y, n, name) return plain.linear(y, n, w(name .. ".weight"), w(name .. ".bias")) end
        local function table_of(name) return x.weight["embeddings." .. name .. "_embeddings.weight"] end
        local function sum(t, d)
          return table_of "word"(x.tokens(t), d) + table_of "position"(t, d) + table_of "token_type"(x.types(t), d)
        end
        local e = plain.layernorm(sum, 2, x.weight["embeddings.LayerNorm.weight"], x.weight["embeddings.LayerNorm.bias"], 0.01)
        local q, k, v = map(e, 2, "attention.self.query"), map(e, 2, "attention.self.key"), map(e, 2, "attention.self.value")
        local function o(t, d)                 -- a head is a channel
          local function mean(f) return total(2, function(i) return math.exp(q(t, d) * k(i, d)) * f(i) end) end
          return mean(function(i) return v(i, d) end) / mean(function() return 1 end)
        end
        local function added(y, f, name)
          local function both(t, d) return y(t, d) + f(t, d) end
          return plain.layernorm(both, 2, w(name .. ".LayerNorm.weight"), w(name .. ".LayerNorm.bias"), 0.01)
        end
        local a = added(e, map(o, 2, "attention.output.dense"), "attention.output")
        local up = map(a, 2, "intermediate.dense")
        return { hidden = added(a, map(function(t, f) return plain.silu(up(t, f)) end, 3, "output.dense"), "output") }
      end,
    },
  },
}
