-- GPT-NeoX and Pythia. Black et al. 2022, section 2: attention and feed-forward side by side, rotary positions on part of each head,
-- queries, keys and values of each head together in one matrix.
-- Reads Hugging Face folders.
return model {
  config = merged(rope_config, {
    vocab = 256, dim = 64, hidden = function(c) return 4 * c.dim end, layers = range(2, 1, 1000), heads = 4, context = 512, eps = 1e-5,
    rope_part = 0.25, act = any_activation "gelu", parallel = true, attention_bias = true,
    tied = function() return not has_weight("embed_out.weight") end,
  }),
  keys = merged(rope_keys, {
    vocab = "vocab_size", dim = "hidden_size", hidden = "intermediate_size", layers = "num_hidden_layers", heads = "num_attention_heads",
    context = "max_position_embeddings", eps = "layer_norm_eps", act = "hidden_act", parallel = "use_parallel_residual",
    tied = "tie_word_embeddings", rope_part = { "rope_parameters.partial_rotary_factor", "rotary_pct" },
    rope_theta = { "rope_parameters.rope_theta", "rotary_emb_base" },
  }),
  names = { ["lm_head.weight"] = "embed_out.weight" },
  tokenizer = { kind = "file" },
  context = "context",
  build = function(c)
    local T, Vo, D, F = axis "T", axis("vocab", c.vocab), axis("D", c.dim), axis("F", c.hidden)
    local H, K, Kv, QKV, three = axis("H", c.heads), axis("K", c.dim // c.heads), axis("Kv", c.dim // c.heads), axis("QKV", 3 * c.dim), axis("q,k,v", 3)
    local turn, act = rope_options(c, size(K)), activation(c.act)
    local embed = weight("gpt_neox.embed_in.weight", { Vo, D })
    local x = gather(embed, input("tokens", { T }, int), Vo)
    local function attend(n)
      local qkv = linear(n, D, QKV, "query_key_value", c.attention_bias):split(QKV, { H, three, K })
      local q, k = rope(qkv:at(three, 0), T, K, c.rope_theta, turn), rope(qkv:at(three, 1), T, K, c.rope_theta, turn)
      local o = attention(q, k, qkv:at(three, 2):over(K, Kv), T, K, causal)
      return linear(o:merge({ H, Kv }, D), D, D, "dense", c.attention_bias)
    end
    for i = 0, c.layers - 1 do
      scope("gpt_neox.layers", i, function()
        local before = x
        local n = layernorm(x, D, "input_layernorm", c.eps)
        scope("attention", function() x = x + attend(n) end)
        n = layernorm(c.parallel and before or x, D, "post_attention_layernorm", c.eps)
        scope("mlp", function() x = x + mlp(n, D, F, { "dense_h_to_4h", "dense_4h_to_h" }, act, true) end)
      end)
    end
    local head = c.tied and embed or weight("embed_out.weight", { Vo, D })
    return { logits = dot(layernorm(x, D, "gpt_neox.final_layer_norm", c.eps), head, D):as { T, Vo } }
  end,
  tests = {
    -- two heads of four channels, of which two turn by one radian a step
    small = {
      config = { vocab = 3, dim = 8, hidden = 3, layers = 1, heads = 2, rope_part = 0.5, eps = 0.01, act = "silu", tied = false },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 1 },
      expect = function(x)
        local function w(name) return x.weight["gpt_neox.layers.0." .. name] end
        local function e(t, d) return x.weight["gpt_neox.embed_in.weight"](x.tokens(t), d) end
        local function norm(y, name) return plain.layernorm(y, 8, w(name .. ".weight"), w(name .. ".bias"), 0.01) end
        local function map(y, n, name) return plain.linear(y, n, w(name .. ".weight"), w(name .. ".bias")) end
        local qkv = map(norm(e, "input_layernorm"), 8, "attention.query_key_value")     -- a head: q 0..3, k 4..7, v 8..11
        local score = memo(function(t, i, h)
          local function q(j) return qkv(t, 12 * h + j) end
          local function k(j) return qkv(i, 12 * h + 4 + j) end
          local c, s = math.cos(t - i), math.sin(t - i)
          local turned = (q(0) * k(0) + q(1) * k(1)) * c + (q(0) * k(1) - q(1) * k(0)) * s
          return math.exp((turned + q(2) * k(2) + q(3) * k(3)) / 2)
        end)
        local function o(t, d)
          local function sum(f) return total(t + 1, function(i) return score(t, i, d // 4) * f(i) end) end
          return sum(function(i) return qkv(i, 12 * (d // 4) + 8 + d % 4) end) / sum(function() return 1 end)
        end
        local a, up = map(o, 8, "attention.dense"), map(norm(e, "post_attention_layernorm"), 8, "mlp.dense_h_to_4h")
        local m = map(function(t, f) return plain.silu(up(t, f)) end, 3, "mlp.dense_4h_to_h")
        local function sum(t, d) return e(t, d) + a(t, d) + m(t, d) end
        local last = plain.layernorm(sum, 8, x.weight["gpt_neox.final_layer_norm.weight"], x.weight["gpt_neox.final_layer_norm.bias"], 0.01)
        return { logits = plain.linear(last, 8, x.weight["embed_out.weight"]) }
      end,
    },
  },
}
