-- Mixtral and its relatives. Jiang et al. 2024, section 2: Llama's layers, where a router gives each token to few of many feed-forward experts.
-- Reads Hugging Face folders. Every expert is computed for every token and weighted by 0 where the router did not choose it.
return model {
  config = merged(rope_config, {
    vocab = 256, dim = 64, hidden = 96, layers = range(2, 1, 1000), heads = 4, context = 512, eps = 1e-5, rope_theta = 1e6,
    kv_heads = function(c) return c.heads end,
    head_dim = function(c) return c.dim // c.heads end,
    tied = function() return not has_weight("lm_head.weight") end,
    act = any_activation "silu", attention_bias = false, window = 0,
    experts = 8, chosen = 2,
  }),
  keys = merged(rope_keys, {
    vocab = "vocab_size", dim = "hidden_size", hidden = "intermediate_size", layers = "num_hidden_layers", heads = "num_attention_heads",
    kv_heads = "num_key_value_heads", context = "max_position_embeddings", eps = "rms_norm_eps", act = "hidden_act",
    tied = "tie_word_embeddings", window = "sliding_window", experts = "num_local_experts", chosen = "num_experts_per_tok",
  }),
  tokenizer = { kind = "file", start = 1 },
  context = "context",
  build = function(c)
    local T, Vo, D, F, E = axis "T", axis("vocab", c.vocab), axis("D", c.dim), axis("F", c.hidden), axis("E", c.experts)
    local mask, act = c.window > 0 and sliding(c.window) or causal, activation(c.act)
    local embed = weight("model.embed_tokens.weight", { Vo, D })
    local x = gather(embed, input("tokens", { T }, int), Vo)
    for i = 0, c.layers - 1 do
      scope("model.layers", i, function()
        local n = rmsnorm(x, D, "input_layernorm", c.eps)
        scope("self_attn", function() x = x + shared_heads_attention(n, T, D, c, mask) end)
        n = rmsnorm(x, D, "post_attention_layernorm", c.eps)
        scope("block_sparse_moe", function()
          local score = linear(n, D, E, "gate")
          local share = softmax(where(lt(rank(score, E), c.chosen), score, -inf), E)       -- among those chosen
          for e = 0, c.experts - 1 do
            scope("experts", e, function() x = x + share:at(E, e) * swiglu(n, D, F, { "w1", "w3", "w2" }, act) end)
          end
        end)
      end)
    end
    local head = c.tied and embed or weight("lm_head.weight", { Vo, D })
    return { logits = dot(rmsnorm(x, D, "model.norm", c.eps), head, D):as { T, Vo } }
  end,
}
