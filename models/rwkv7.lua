-- RWKV-7. Peng et al. 2025, "Goose", section 4: a delta rule with a decay and a removal strength for each channel; layers share the first one's values.
-- Reads ggmf files, where small matrices are stored [to, from] and the six mixing vectors as one tensor.
return model {
  config = {
    vocab = 256, dim = 64, layers = range(2, 1, 1000), eps = 1e-5, head_eps = 64e-5,
    heads = function(c) return (weight_shape "blocks.0.att.r_k" or { c.dim // 64 })[1] end,
    hidden = function(c) return (weight_shape "blocks.0.ffn.key.weight" or { 4 * c.dim })[1] end,
  },
  keys = { vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers" },
  serves = { { has = { "blocks.0.att.r_k" } } },
  tokenizer = { kind = "file" },
  build = function(c)
    local T, D, F = axis "T", axis("D", c.dim), axis("F", c.hidden)
    local H, K, V, six = axis("H", c.heads), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads), axis("r,w,k,v,a,g", 6)
    local zero, first = zeros { H, K, V }, nil
    local function lora(x, letter, act)                                      -- through few channels and back
      local R = axis("R" .. letter, (weight_shape(letter .. "1") or { 32 })[1])
      return dot(act(dot(x, weight(letter .. "1", { R, D }), D)), weight(letter .. "2", { D, R }), R)
    end
    local function same(x) return x end
    local function heads(x) return x:split(D, { H, K }) end
    local function attend(x)
      local mix = weight("x_rwkvag", { six, D })
      local function mixed(i) return token_shift(x, T, mix:at(six, i)) end
      local r, k, v = linear(mixed(0), D, D, "receptance"), linear(mixed(2), D, D, "key"), linear(mixed(3), D, D, "value")
      local w = exp(-math.exp(-0.5) * sigmoid(lora(mixed(1), "w", tanh) + weight("w0", { D })))
      local a, g = sigmoid(lora(mixed(4), "a", same) + weight("a0", { D })), lora(mixed(5), "g", sigmoid)
      if first then v = v + (first - v) * sigmoid(lora(mixed(3), "v", same) + weight("v0", { D })) end
      first = first or v
      local kk = norm2(heads(k * weight("k_k", { D })), K)                   -- what is taken out, and below how much of it
      k = k + (a - 1) * k * weight("k_a", { D })
      r, w, k, a, v = heads(r), heads(w), heads(k), heads(a), v:split(D, { H, V })
      local o = scan(T, { S = zero }, function(s)
        local S = w * s.S - a * kk * dot(s.S, kk, K) + k * v
        return dot(r, S, K), { S = S }
      end)
      local bonus = (sum(r * k * weight("r_k", { H, K }), K) * v):merge({ H, V }, D)
      return linear((groupnorm(o, H, V, D, "ln_x", c.head_eps) + bonus) * g, D, D, "output")
    end
    local function feed(x)
      return mlp(token_shift(x, T, weight("x_k", { D })), D, F, { "key", "value" }, relu2)
    end
    local function norm(x, name) return layernorm(x, D, name, c.eps) end
    return language_model(T, D, c, { "emb", "ln_out", "head" }, norm, function(x)
      return residual_layers(norm(x, "blocks.0.ln0"), c.layers, "blocks", norm, { { "ln1", "att", attend }, { "ln2", "ffn", feed } })
    end)
  end,
  tests = {
    small = {
      config = { vocab = 3, dim = 4, heads = 2, hidden = 3, layers = 2, eps = 0.01, head_eps = 0.02 },
      sizes = { T = 3 }, inputs = { tokens = { 1, 2, 0 } }, weights = { random = 4 },
      expect = function(x)
        local layer, first = 0, nil
        local function w(name) return x.weight["blocks." .. layer .. "." .. name] end
        local function norm(y, name) return plain.layernorm(y, 4, x.weight[name .. ".weight"], x.weight[name .. ".bias"], 0.01) end
        local plus, before = plain.plus, plain.before
        local function attend(n)
          local function mixed(i)
            local m = w "att.x_rwkvag"
            return function(t, d) return n(t, d) + (before(n, t, d) - n(t, d)) * m(i, d) end
          end
          local function lora(y, letter, act)
            local low = plain.linear(y, 4, w("att." .. letter .. "1"))
            return plain.linear(function(t, r) return act(low(t, r)) end, 32, w("att." .. letter .. "2"), letter ~= "g" and w("att." .. letter .. "0"))
          end
          local function same(a) return a end
          local r, k0, v = plain.linear(mixed(0), 4, w "att.receptance.weight"), plain.linear(mixed(2), 4, w "att.key.weight"), plain.linear(mixed(3), 4, w "att.value.weight")
          local wl, al, g, kk, ka, rk = lora(mixed(1), "w", plain.tanh), lora(mixed(4), "a", same), lora(mixed(5), "g", plain.sigmoid), w "att.k_k", w "att.k_a", w "att.r_k"
          if first then
            local own, share = v, lora(mixed(3), "v", same)
            v = memo(function(t, d) return own(t, d) + (first(t, d) - own(t, d)) * plain.sigmoid(share(t, d)) end)
          end
          first = first or v
          local function a(t, d) return plain.sigmoid(al(t, d)) end
          local function k(t, d) return k0(t, d) * (1 + (a(t, d) - 1) * ka(d)) end
          local out = memo(function(t, d)
            local h = d - d % 2
            return k0(t, d) * kk(d) / total(2, function(j) return (k0(t, h + j) * kk(h + j)) ^ 2 end) ^ 0.5
          end)
          local S
          S = memo(function(t, i, d)
            if t < 0 then return 0 end
            local gone = total(2, function(j) return S(t - 1, d - d % 2 + j, d) * out(t, d - d % 2 + j) end)
            return math.exp(-math.exp(-0.5) * plain.sigmoid(wl(t, i))) * S(t - 1, i, d) - a(t, i) * out(t, i) * gone + k(t, i) * v(t, d)
          end)
          local function rows(d, f) return total(2, function(j) return f(d - d % 2 + j, j) end) end
          local y = plain.layernorm(function(t, d) return rows(d, function(i) return r(t, i) * S(t, i, d) end) end, 2, w "att.ln_x.weight", w "att.ln_x.bias", 0.02)
          local function bonus(t, d) return rows(d, function(i, j) return r(t, i) * k(t, i) * rk(d // 2, j) end) * v(t, d) end
          return plain.linear(function(t, d) return (y(t, d) + bonus(t, d)) * g(t, d) end, 4, w "att.output.weight")
        end
        local e = norm(function(t, d) return x.weight["emb.weight"](x.tokens(t), d) end, "blocks.0.ln0")
        for i = 0, 1 do
          layer = i
          e = plus(e, attend(norm(e, "blocks." .. i .. ".ln1")))
          local n, m = norm(e, "blocks." .. i .. ".ln2"), w "ffn.x_k"
          local key = plain.linear(function(t, d) return n(t, d) + (before(n, t, d) - n(t, d)) * m(d) end, 4, w "ffn.key.weight")
          e = plus(e, plain.linear(function(t, f) return math.max(key(t, f), 0) ^ 2 end, 3, w "ffn.value.weight"))
        end
        return { logits = plain.linear(norm(e, "ln_out"), 4, x.weight["head.weight"]) }
      end,
    },
  },
}
