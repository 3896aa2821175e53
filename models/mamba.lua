-- Mamba. Gu and Dao 2023, figure 3: a stack of layers without attention; each is two projections, a short convolution, the selective scan, a gate.
-- Reads Hugging Face folders; Falcon-Mamba also normalises what the scan is steered by.
return model {
  config = {
    vocab = 256, dim = 32, layers = range(2, 1, 1000), state = 16, conv = 4, eps = 1e-5, act = any_activation "silu",
    hidden = function(c) return math.floor(c.expand * c.dim) end, expand = 2.0,
    rank = function() return "auto" end, use_bias = false, use_conv_bias = true, steer_eps = 0.0,
    tied = function() return not has_weight("lm_head.weight") end,
  },
  keys = {
    vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers", state = "state_size", conv = "conv_kernel",
    eps = "layer_norm_epsilon", act = "hidden_act", hidden = "intermediate_size", rank = "time_step_rank", steer_eps = "mixer_rms_eps",
    tied = "tie_word_embeddings",
  },
  serves = { "falcon_mamba" },
  tokenizer = { kind = "file" },
  build = function(c)
    local rank = c.rank == "auto" and -(-c.dim // 16) or c.rank
    local T, E, D, E2 = axis "T", axis("E", c.dim), axis("D", c.hidden), axis("2D", 2 * c.hidden)
    local N, R, X = axis("N", c.state), axis("R", rank), axis("X", rank + 2 * c.state)
    local act, zero = activation(c.act), zeros { D, N }
    local function steer(x, from, a)
      local s = x:slice(X, from, size(a), a)
      return c.steer_eps > 0 and rms(s, a, c.steer_eps) or s
    end
    local function mix(u)
      local both = linear(u, E, E2, "in_proj", c.use_bias)
      local x, z = both:slice(E2, 0, c.hidden, D), both:slice(E2, c.hidden, c.hidden, D)
      x = act(causal_conv(x, T, c.conv, "conv1d", c.use_conv_bias))
      local p = linear(x, D, X, "x_proj")
      local d = softplus(linear(steer(p, 0, R), R, D, "dt_proj", true))
      local Bt, Ct, A = steer(p, rank, N), steer(p, rank + c.state, N), -exp(weight("A_log", { D, N }))
      local y = scan(T, { h = zero }, function(s)
        local h = exp(d * A) * s.h + d * x * Bt
        return dot(h, Ct, N), { h = h }
      end)
      return linear((y + weight("D", { D }) * x) * silu(z), D, E, "out_proj", c.use_bias)
    end
    local function norm(x, name) return rmsnorm(x, E, name, c.eps) end
    return language_model(T, E, c, { "backbone.embeddings", "backbone.norm_f", "lm_head" }, norm, function(x)
      return residual_layers(x, c.layers, "backbone.layers", norm, { { "norm", "mixer", mix } })
    end)
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 2, layers = 1, state = 2, rank = 1, conv = 2, eps = 0.01, use_bias = true, tied = false },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 1 },
      expect = function(x)                     -- rows of x_proj: dt 0, B 1..2, C 3..4
        local function w(name) return x.weight["backbone.layers.0." .. name] end
        local function e(t, d) return x.weight["backbone.embeddings.weight"](x.tokens(t), d) end
        local both = plain.linear(plain.rmsnorm(e, 2, w "norm.weight", 0.01), 2, w "mixer.in_proj.weight", w "mixer.in_proj.bias")
        local conv, h = plain.conv(both, 2, w "mixer.conv1d.weight", w "mixer.conv1d.bias"), nil
        local function u(t, i) return plain.silu(conv(t, i)) end
        local p = plain.linear(u, 4, w "mixer.x_proj.weight")
        local function dt(t, i) return plain.softplus(p(t, 0) * w "mixer.dt_proj.weight"(i, 0) + w "mixer.dt_proj.bias"(i)) end
        h = memo(function(t, i, n)
          return t < 0 and 0 or math.exp(-dt(t, i) * math.exp(w "mixer.A_log"(i, n))) * h(t - 1, i, n) + dt(t, i) * u(t, i) * p(t, 1 + n)
        end)
        local function y(t, i)
          return (total(2, function(n) return h(t, i, n) * p(t, 3 + n) end) + w "mixer.D"(i) * u(t, i)) * plain.silu(both(t, 4 + i))
        end
        local o = plain.linear(y, 4, w "mixer.out_proj.weight", w "mixer.out_proj.bias")
        local out = plain.rmsnorm(function(t, d) return e(t, d) + o(t, d) end, 2, x.weight["backbone.norm_f.weight"], 0.01)
        return { logits = plain.linear(out, 2, x.weight["lm_head.weight"]) }
      end,
    },
  },
}
