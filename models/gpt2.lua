-- GPT-2. Radford et al. 2019: learned positions, pre-norm with biases, one matrix for q, k and v, weights stored [in, out].
-- Reads Hugging Face folders; the names there come with and without the prefix "transformer.".
local parts = { "ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj" }
local list = { "wte.weight", "wpe.weight", "ln_f.weight", "ln_f.bias" }
for _, p in ipairs(parts) do
  list[#list + 1] = "h.#." .. p .. ".weight"
  list[#list + 1] = "h.#." .. p .. ".bias"
end

local function conv1d(x, from, to, name)       -- a linear map whose weight is [in, out]
  local out = to == from and axis(tostring(to) .. "^", size(to)) or to
  local y = dot(x, weight(name .. ".weight", { from, out }), from)
  if out ~= to then y = y:over(out, to) end
  return y + weight(name .. ".bias", { to })
end

return model {
  config = {
    vocab = 50257, dim = 768, layers = range(12, 1, 1000), heads = 12, context = 1024, eps = 1e-5, act = any_activation "gelu_new", add_cross_attention = choice(false),
    hidden = function(c) return 4 * c.dim end,
    scale = true, scale_by_layer = false,
    tied = function() return not has_weight("lm_head.weight") end,
  },
  keys = {
    vocab = "vocab_size", dim = "n_embd", layers = "n_layer", heads = "n_head", context = "n_positions", hidden = "n_inner",
    eps = "layer_norm_epsilon", act = "activation_function", scale = "scale_attn_weights",
    scale_by_layer = "scale_attn_by_inverse_layer_idx", tied = "tie_word_embeddings",
  },
  names = prefixed("transformer.", "", list),
  tokenizer = { kind = "file" },
  context = "context",
  build = function(c)
    local T, D, C = axis "T", axis("D", c.dim), axis("context", c.context)
    local H, K, F = axis("H", c.heads), axis("K", c.dim // c.heads), axis("F", c.hidden)
    local QKV, three = axis("QKV", 3 * c.dim), axis("q,k,v", 3)
    local act = activation(c.act)
    local function norm(x, name) return layernorm(x, D, name, c.eps) end
    local function attend(n, i)
      local qkv = conv1d(n, D, QKV, "c_attn"):split(QKV, { three, H, K })
      local q, k, v = qkv:at(three, 0), qkv:at(three, 1), qkv:at(three, 2)
      local scale = (c.scale and size(K) ^ -0.5 or 1) / (c.scale_by_layer and i + 1 or 1)
      local o = attention(q, k, v:over(K, axis("Kv", size(K))), T, K, causal, { scale = scale })
      return conv1d(o:merge({ H, axis "Kv" }, D), D, D, "c_proj")
    end
    local function feed(n) return conv1d(act(conv1d(n, D, F, "c_fc")), F, D, "c_proj") end
    return language_model(T, D, c, { "wte", "ln_f", "lm_head" }, norm, function(x)
      x = x + embedding(pos(T), C, D, "wpe")
      return residual_layers(x, c.layers, "h", norm, { { "ln_1", "attn", attend }, { "ln_2", "mlp", feed } })
    end)
  end,
  tests = {
    -- two positions with the same token and equal position rows: attention averages equal values, so both rows are the one-token result
    equal_rows = {
      config = { vocab = 4, dim = 2, layers = 1, heads = 1, context = 4, hidden = 2, tied = true, eps = 0.01 },
      sizes = { T = 2 },
      inputs = { tokens = { 1, 1 } },
      weights = {
        ["wte.weight"] = { random = 1 }, ["wpe.weight"] = 0.25, ["ln_f.weight"] = 1, ["ln_f.bias"] = 0.5,
        ["h.0.ln_1.weight"] = 2, ["h.0.ln_1.bias"] = 0.1, ["h.0.ln_2.weight"] = 1, ["h.0.ln_2.bias"] = -0.1,
        ["h.0.attn.c_attn.weight"] = { random = 2 }, ["h.0.attn.c_attn.bias"] = { random = 3 },
        ["h.0.attn.c_proj.weight"] = { random = 4 }, ["h.0.attn.c_proj.bias"] = { random = 5 },
        ["h.0.mlp.c_fc.weight"] = { random = 6 }, ["h.0.mlp.c_fc.bias"] = { random = 7 },
        ["h.0.mlp.c_proj.weight"] = { random = 8 }, ["h.0.mlp.c_proj.bias"] = { random = 9 },
      },
      expect = function(x)
        local w = x.weight
        local function norm(v, g, b)
          local m, d = (v[1] + v[2]) / 2, (v[1] - v[2]) / 2
          local s = (d * d + 0.01) ^ -0.5
          return { (v[1] - m) * s * g + b, (v[2] - m) * s * g + b }
        end
        local function map(v, name, first)     -- rows are inputs; columns from `first`
          local r = {}
          for j = 0, 1 do
            r[j + 1] = w[name .. ".bias"](first + j)
            for i = 0, 1 do r[j + 1] = r[j + 1] + v[i + 1] * w[name .. ".weight"](i, first + j) end
          end
          return r
        end
        local function gelu(z) return z / 2 * (1 + (1 - 2 / (math.exp(2 * (2 / math.pi) ^ 0.5 * (z + 0.044715 * z ^ 3)) + 1))) end
        local e = { w["wte.weight"](1, 0) + 0.25, w["wte.weight"](1, 1) + 0.25 }
        local o = map(map(norm(e, 2, 0.1), "h.0.attn.c_attn", 4), "h.0.attn.c_proj", 0)
        e = { e[1] + o[1], e[2] + o[2] }
        local h = map(norm(e, 1, -0.1), "h.0.mlp.c_fc", 0)
        o = map({ gelu(h[1]), gelu(h[2]) }, "h.0.mlp.c_proj", 0)
        local n = norm({ e[1] + o[1], e[2] + o[2] }, 1, 0.5)
        return { logits = function(_, t) return n[1] * w["wte.weight"](t, 0) + n[2] * w["wte.weight"](t, 1) end }
      end,
    },
  },
}
