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
        scope("mlp", function() x = x + linear(act(linear(n, D, F, "dense_h_to_4h", true)), F, D, "dense_4h_to_h", true) end)
      end)
    end
    local head = c.tied and embed or weight("embed_out.weight", { Vo, D })
    return { logits = dot(layernorm(x, D, "gpt_neox.final_layer_norm", c.eps), head, D):as { T, Vo } }
  end,
}
