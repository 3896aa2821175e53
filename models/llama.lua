-- LLaMA and its relatives. Touvron et al. 2023, "Llama 2", section 2.2: pre-norm, rotary positions, grouped query heads, SwiGLU.
-- Relatives differ in biases, norms of query and key heads, and sliding windows in some layers or all.
-- Reads Hugging Face folders (weights bear the names there) and llama2.c files. Without a checkpoint: the sizes of stories260K.
return model {
  config = merged(merged(rope_config, window_config), {
    vocab = 512, dim = 64, hidden = 172, layers = range(5, 1, 1000), heads = 8, context = 512, eps = 1e-5,
    kv_heads = function(c) return c.heads end,
    head_dim = function(c) return c.dim // c.heads end,
    tied = function() return not has_weight("lm_head.weight") end,
    act = any_activation "silu", attention_bias = false, mlp_bias = false,
  }),
  keys = merged(merged(rope_keys, window_keys), {
    vocab = "vocab_size", dim = "hidden_size", hidden = "intermediate_size", layers = "num_hidden_layers", heads = "num_attention_heads",
    kv_heads = "num_key_value_heads", context = "max_position_embeddings", eps = "rms_norm_eps", act = "hidden_act",
    tied = "tie_word_embeddings",
  }),
  serves = { "mistral", "qwen2", "qwen3" },
  tokenizer = { kind = "file", start = 1 },
  context = "context",
  build = function(c)
    local T, D, F = axis "T", axis("D", c.dim), axis("F", c.hidden)
    local act = activation(c.act)
    local function norm(x, name) return rmsnorm(x, D, name, c.eps) end
    local function attend(n, i) return shared_heads_attention(n, T, D, c, layer_mask(c, i)) end
    local function feed(n) return swiglu(n, D, F, { "gate_proj", "up_proj", "down_proj" }, act, c.mlp_bias) end
    local parts = { { "input_layernorm", "self_attn", attend }, { "post_attention_layernorm", "mlp", feed } }
    return language_model(T, D, c, { "model.embed_tokens", "model.norm", "lm_head" }, norm, function(x)
      return residual_layers(x, c.layers, "model.layers", norm, parts)
    end)
  end,
  tests = {
    -- one position attends to itself alone: attention passes v through, rotation does nothing
    one_token = {
      config = { vocab = 5, dim = 2, hidden = 3, layers = 1, heads = 2, kv_heads = 1, head_dim = 2, tied = true, eps = 0.01 },
      sizes = { T = 1 },
      inputs = { tokens = { 2 } },
      weights = { random = 3 },
      expect = function(x)
        local l = "model.layers.0."
        local function w(name) return x.weight[name .. ".weight"] end
        local function map(v, m, rows)
          local r = {}
          for i = 1, rows do
            r[i] = 0
            for j = 1, #v do r[i] = r[i] + m(i - 1, j - 1) * v[j] end
          end
          return r
        end
        local function norm(v, g)
          local s = ((v[1] ^ 2 + v[2] ^ 2) / 2 + 0.01) ^ -0.5
          return { v[1] * s * g(0), v[2] * s * g(1) }
        end
        local e = { w "model.embed_tokens"(2, 0), w "model.embed_tokens"(2, 1) }
        local v = map(norm(e, w(l .. "input_layernorm")), w(l .. "self_attn.v_proj"), 2)
        local o = map({ v[1], v[2], v[1], v[2] }, w(l .. "self_attn.o_proj"), 2)
        e = { e[1] + o[1], e[2] + o[2] }
        local n = norm(e, w(l .. "post_attention_layernorm"))
        local g, u = map(n, w(l .. "mlp.gate_proj"), 3), map(n, w(l .. "mlp.up_proj"), 3)
        for i = 1, 3 do u[i] = u[i] * g[i] / (1 + math.exp(-g[i])) end
        o = map(u, w(l .. "mlp.down_proj"), 2)
        n = norm({ e[1] + o[1], e[2] + o[2] }, w "model.norm")
        return { logits = function(_, t) return n[1] * w "model.embed_tokens"(t, 0) + n[2] * w "model.embed_tokens"(t, 1) end }
      end,
    },
  },
}
