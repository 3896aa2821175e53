-- Mixtral and its relatives. Jiang et al. 2024, section 2: Llama's layers, where a router gives each token to few of many feed-forward experts.
-- Relatives (Qwen's) have one more expert for every token, shares that do not add up to 1, or plain layers between.
-- Reads Hugging Face folders. Every expert is computed for every token and weighted by 0 where the router did not choose it.
local here, there, names = "model.layers.#.block_sparse_moe.", "model.layers.#.mlp.", {}
for old, new in pairs { gate_proj = "w1", down_proj = "w2", up_proj = "w3" } do
  names[there .. "experts.#." .. old .. ".weight"] = here .. "experts.#." .. new .. ".weight"
end
names[there .. "gate.weight"] = here .. "gate.weight"

return model {
  config = merged(merged(rope_config, window_config), {
    vocab = 256, dim = 64, hidden = 96, layers = range(2, 1, 1000), heads = 4, context = 512, eps = 1e-5,
    rope_theta = function(c) return c.model_type == "mixtral" and 1e6 or 1e4 end,
    kv_heads = function(c) return c.heads end,
    head_dim = function(c) return c.dim // c.heads end,
    tied = function() return not has_weight("lm_head.weight") end,
    act = any_activation "silu", attention_bias = false,
    experts = range(4, 1, 4096), chosen = range(2, 1, 4096), expert_hidden = function(c) return c.hidden end, shared_hidden = 0,
    to_one = function(c) return not c.model_type:find "^qwen" end,             -- do the shares of the chosen ones add up to 1?
    sparse_step = 1, plain_layers = {},
  }),
  keys = merged(merged(rope_keys, window_keys), {
    vocab = "vocab_size", dim = "hidden_size", hidden = "intermediate_size", layers = "num_hidden_layers", heads = "num_attention_heads",
    kv_heads = "num_key_value_heads", context = "max_position_embeddings", eps = "rms_norm_eps", act = "hidden_act", tied = "tie_word_embeddings",
    experts = { "num_local_experts", "num_experts" }, chosen = "num_experts_per_tok", expert_hidden = "moe_intermediate_size",
    shared_hidden = "shared_expert_intermediate_size", to_one = "norm_topk_prob", sparse_step = "decoder_sparse_step", plain_layers = "mlp_only_layers",
  }),
  names = names,
  serves = { "qwen2_moe", "qwen3_moe" },
  tokenizer = { kind = "file", start = 1 },
  context = "context",
  build = function(c)
    local T, D, F, E, X = axis "T", axis("D", c.dim), axis("F", c.hidden), axis("E", c.experts), axis("X", c.expert_hidden)
    local act, parts = activation(c.act), { "gate_proj", "up_proj", "down_proj" }
    local function plain_layer(i)
      for _, k in ipairs(c.plain_layers) do if k == i then return true end end
      return (i + 1) % c.sparse_step ~= 0
    end
    local function moe(n)
      local score = linear(n, D, E, "gate")
      local among, y = lt(rank(score, E), c.chosen), 0
      local share = c.to_one and softmax(where(among, score, -inf), E) or where(among, softmax(score, E), 0)
      for e = 0, c.experts - 1 do
        scope("experts", e, function() y = y + share:at(E, e) * swiglu(n, D, X, { "w1", "w3", "w2" }, act) end)
      end
      return y
    end
    local function always(n)                                                 -- the shared expert, behind a gate of its own
      local S, one = axis("S", c.shared_hidden), axis("one", 1)
      return sigmoid(linear(n, D, one, "shared_expert_gate"):at(one, 0)) * scope("shared_expert", function() return swiglu(n, D, S, parts, act) end)
    end
    local function norm(x, name) return rmsnorm(x, D, name, c.eps) end
    return language_model(T, D, c, { "model.embed_tokens", "model.norm", "lm_head" }, norm, function(x)
      for i = 0, c.layers - 1 do
        scope("model.layers", i, function()
          local n = norm(x, "input_layernorm")
          scope("self_attn", function() x = x + shared_heads_attention(n, T, D, c, layer_mask(c, i)) end)
          n = norm(x, "post_attention_layernorm")
          if plain_layer(i) then
            scope("mlp", function() x = x + swiglu(n, D, F, parts, act) end)
          else
            scope("block_sparse_moe", function() x = x + moe(n) end)
            if c.shared_hidden > 0 then scope("mlp", function() x = x + always(n) end) end
          end
        end)
      end
      return x
    end)
  end,
  tests = {
    -- one position attends to itself alone, so attention passes v through; two of three experts are chosen, and one serves everyone
    one_token = {
      config = { vocab = 3, dim = 2, layers = 1, heads = 1, kv_heads = 1, experts = 3, chosen = 2, expert_hidden = 2, shared_hidden = 3, eps = 0.01, tied = true },
      sizes = { T = 1 }, inputs = { tokens = { 2 } }, weights = { random = 3 },
      expect = function(x)
        local function w(name) return x.weight["model.layers.0." .. name .. ".weight"] end
        local emb = x.weight["model.embed_tokens.weight"]
        local function e(_, d) return emb(2, d) end
        local v = plain.linear(plain.rmsnorm(e, 2, w "input_layernorm", 0.01), 2, w "self_attn.v_proj")
        local o = plain.linear(v, 2, w "self_attn.o_proj")
        local function a(t, d) return e(t, d) + o(t, d) end
        local n = plain.rmsnorm(a, 2, w "post_attention_layernorm", 0.01)
        local score, shares, parts = plain.linear(n, 2, w "block_sparse_moe.gate"), 0, {}
        local function ffn(hidden, gate, up, down)
          local g, u = plain.linear(n, 2, w(gate)), plain.linear(n, 2, w(up))
          return plain.linear(function(t, f) return plain.silu(g(t, f)) * u(t, f) end, hidden, w(down))
        end
        for i = 0, 2 do
          local larger, name = 0, "block_sparse_moe.experts." .. i
          for j = 0, 2 do if score(0, j) > score(0, i) then larger = larger + 1 end end
          if larger < 2 then
            shares = shares + math.exp(score(0, i))
            parts[#parts + 1] = { math.exp(score(0, i)), ffn(2, name .. ".w1", name .. ".w3", name .. ".w2") }
          end
        end
        local all, gate = ffn(3, "mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj"), plain.linear(n, 2, w "mlp.shared_expert_gate")
        local function y(t, d)
          return a(t, d) + (parts[1][1] * parts[1][2](t, d) + parts[2][1] * parts[2][2](t, d)) / shares + plain.sigmoid(gate(t, 0)) * all(t, d)
        end
        return { logits = plain.linear(plain.rmsnorm(y, 2, x.weight["model.norm.weight"], 0.01), 2, emb) }
      end,
    },
  },
}
