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
    local T, Vo, E, D, E2 = axis "T", axis("vocab", c.vocab), axis("E", c.dim), axis("D", c.hidden), axis("2D", 2 * c.hidden)
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
    local embed = weight("backbone.embeddings.weight", { Vo, E })
    local x = gather(embed, input("tokens", { T }, int), Vo)
    for i = 0, c.layers - 1 do
      scope("backbone.layers", i, function()
        local n = rmsnorm(x, E, "norm", c.eps)
        scope("mixer", function() x = x + mix(n) end)
      end)
    end
    local head = c.tied and embed or weight("lm_head.weight", { Vo, E })
    return { logits = dot(rmsnorm(x, E, "backbone.norm_f", c.eps), head, E):as { T, Vo } }
  end,
}
