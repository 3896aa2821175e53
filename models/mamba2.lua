-- Mamba-2. Dao and Gu 2024, figure 6: one projection, a short convolution over x, B and C, a scan with one decay for each head, a gated norm.
-- Reads Hugging Face folders.
return model {
  config = {
    vocab = 256, dim = 32, layers = range(2, 1, 1000), state = 16, heads = 4, head_dim = 16, groups = 1, conv = 4, eps = 1e-5,
    act = any_activation "silu", use_bias = false, use_conv_bias = true, dt_limit = { 0, inf },
    tied = function() return not has_weight("lm_head.weight") end,
  },
  keys = {
    vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers", state = "state_size", heads = "num_heads", groups = "n_groups",
    conv = "conv_kernel", eps = "layer_norm_epsilon", act = "hidden_act", dt_limit = "time_step_limit", tied = "tie_word_embeddings",
  },
  tokenizer = { kind = "file" },
  build = function(c)
    local inner, bc = c.heads * c.head_dim, c.groups * c.state
    local T, E, D, X = axis "T", axis("E", c.dim), axis("D", inner), axis("X", inner + 2 * bc)
    local P, GK, K = axis("P", 2 * inner + 2 * bc + c.heads), axis("GK", bc), axis("K", c.state)
    local H, G, R, V, Dg = axis("H", c.heads), axis("G", c.groups), axis("R", c.heads // c.groups), axis("V", c.head_dim), axis("D/groups", inner // c.groups)
    local act, zero = activation(c.act), zeros { G, R, V, K }
    local function mix(u)
      local p = linear(u, E, P, "in_proj", c.use_bias)
      local z, dt = p:slice(P, 0, inner, D), p:slice(P, 2 * inner + 2 * bc, c.heads, H)
      local xbc = act(causal_conv(p:slice(P, inner, inner + 2 * bc, X), T, c.conv, "conv1d", c.use_conv_bias))
      local x = xbc:slice(X, 0, inner, D):split(D, { G, R, V })
      local Bt, Ct = xbc:slice(X, inner, bc, GK):split(GK, { G, K }), xbc:slice(X, inner + bc, bc, GK):split(GK, { G, K })
      local d = softplus(dt + weight("dt_bias", { H }))
      if c.dt_limit[1] > 0 then d = maximum(d, c.dt_limit[1]) end
      if c.dt_limit[2] < inf then d = minimum(d, c.dt_limit[2]) end
      local A, skip = -exp(weight("A_log", { H })):split(H, { G, R }), weight("D", { H }):split(H, { G, R })
      d = d:split(H, { G, R })
      local y = scan(T, { S = zero }, function(s)
        local S = exp(d * A) * s.S + d * x * Bt
        return dot(S, Ct, K), { S = S }
      end)
      y = (y + skip * x):merge({ G, R, V }, D) * silu(z)                    -- the gate first, then the norm, each group by itself
      y = rms(y:split(D, { G, Dg }), Dg, c.eps):merge({ G, Dg }, D) * weight("norm.weight", { D })
      return linear(y, D, E, "out_proj", c.use_bias)
    end
    local function norm(x, name) return rmsnorm(x, E, name, c.eps) end
    return language_model(T, E, c, { "backbone.embeddings", "backbone.norm_f", "lm_head" }, norm, function(x)
      return residual_layers(x, c.layers, "backbone.layers", norm, { { "norm", "mixer", mix } })
    end)
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 2, layers = 1, state = 2, heads = 2, head_dim = 2, groups = 2, conv = 2, eps = 0.01, dt_limit = { 0.5, 0.9 }, tied = true },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 2 },
      expect = function(x)                     -- rows of in_proj: z 0..3, x 4..7, B 8..11, C 12..15, dt 16..17; a group is a head
        local function w(name) return x.weight["backbone.layers.0." .. name] end
        local emb = x.weight["backbone.embeddings.weight"]
        local function e(t, d) return emb(x.tokens(t), d) end
        local p, S = plain.linear(plain.rmsnorm(e, 2, w "norm.weight", 0.01), 2, w "mixer.in_proj.weight"), nil
        local conv = plain.conv(function(t, i) return p(t, 4 + i) end, 2, w "mixer.conv1d.weight", w "mixer.conv1d.bias")
        local function xbc(t, i) return plain.silu(conv(t, i)) end
        local function dt(t, h) return math.min(math.max(plain.softplus(p(t, 16 + h) + w "mixer.dt_bias"(h)), 0.5), 0.9) end
        S = memo(function(t, d, k)
          local h = d // 2
          return t < 0 and 0 or math.exp(-dt(t, h) * math.exp(w "mixer.A_log"(h))) * S(t - 1, d, k) + dt(t, h) * xbc(t, d) * xbc(t, 4 + 2 * h + k)
        end)
        local function gated(t, d)
          local y = total(2, function(k) return S(t, d, k) * xbc(t, 8 + 2 * (d // 2) + k) end) + w "mixer.D"(d // 2) * xbc(t, d)
          return y * plain.silu(p(t, d))
        end
        local n = plain.rmsnorm(gated, 2, function() return 1 end, 0.01)
        local o = plain.linear(function(t, d) return n(t, d) * w "mixer.norm.weight"(d) end, 4, w "mixer.out_proj.weight")
        local out = plain.rmsnorm(function(t, d) return e(t, d) + o(t, d) end, 2, x.weight["backbone.norm_f.weight"], 0.01)
        return { logits = plain.linear(out, 2, emb) }
      end,
    },
  },
}
