-- A byte-level gated attention unit that tells stories. Hua et al. 2022, "Transformer Quality in Linear Time", section 3.1, with a
-- decaying linear attention in place of the quadratic one: every layer keeps one state per head, no softmax.
--   S_t = a_h S_{t-1} + (1 - a_h) k_t v_t',   o_t = S_t' q_t / sqrt(key),   x = x + Wo (u * norm(o))
return model {
  config = {
    vocab = 256, dim = 128, expand = 256, key = 64, heads = 4, layers = range(5, 1, 1000), conv = range(4, 1, 64),
    eps = 1e-5, rope_theta = 1e4, decays = { 3 / 4, 15 / 16, 63 / 64, 255 / 256 },
  },
  tokenizer = { kind = "bytes", start = 0, separator = 0 },
  weights = "gau",
  build = function(c)
    local T, V, D = axis "T", axis("vocab", c.vocab), axis("D", c.dim)
    local E, S, H, P = axis("E", c.expand), axis("S", c.key), axis("H", c.heads), axis("P", c.expand // c.heads)
    local a = const(c.decays, { H }, f32)
    local embed = weight("embed.weight", { V, D })
    local x = gather(embed, input("tokens", { T }, int), V)
    for i = 0, c.layers - 1 do
      scope("layers", i, function()
        local n = rmsnorm(x, D, "norm", c.eps)
        local u, v = silu(linear(n, D, E, "u")), silu(linear(n, D, E, "v")):split(E, { H, P })
        local z = silu(causal_conv(linear(n, D, S, "z"), T, c.conv, "conv"))
        local q, k = rope(affine(z, S, "q"), T, S, c.rope_theta), rope(affine(z, S, "k"), T, S, c.rope_theta)
        local o = scan(T, { S = zeros { H, S, P } }, function(s)
          local now = a * s.S + (1 - a) * k * v
          return dot(q, now, S) * c.key ^ -0.5, { S = now }
        end)
        local y = rms(o, P, c.eps):merge({ H, P }, E) * weight("out_norm.weight", { E })
        x = x + linear(u * y, E, D, "o")
      end)
    end
    return { logits = dot(rmsnorm(x, D, "norm", c.eps), embed, D):as { T, V } }
  end,
  tests = {
    one_token = {
      config = { vocab = 5, dim = 4, expand = 4, key = 4, heads = 2, layers = 1, decays = { 0.5, 0.75 }, eps = 0 },
      sizes = { T = 1 },
      inputs = { tokens = { 3 } },
      weights = { random = 1, 0.5, 1.5 },
      expect = function(x)                     -- one position: the state is (1 - a) k v', rope does nothing, only the newest tap counts
        local w, n = x.weight, 4
        local function silu(z) return z / (1 + math.exp(-z)) end
        local function norm(v, g)
          local r, s = {}, 0
          for i = 1, n do s = s + v[i] ^ 2 / n end
          for i = 1, n do r[i] = v[i] * s ^ -0.5 * g(i - 1) end
          return r
        end
        local function map(v, m)
          local r = {}
          for i = 1, n do
            r[i] = 0
            for j = 1, n do r[i] = r[i] + m(i - 1, j - 1) * v[j] end
          end
          return r
        end
        local e = {}
        for i = 1, n do e[i] = w["embed.weight"](3, i - 1) end
        local h, l = norm(e, w["layers.0.norm.weight"]), "layers.0."
        local u, v, z = map(h, w[l .. "u.weight"]), map(h, w[l .. "v.weight"]), map(h, w[l .. "z.weight"])
        local qk, y = 0, {}
        for i = 1, n do
          local s = silu(z[i] * w[l .. "conv.weight"](i - 1, 3))
          qk = qk + (s * w[l .. "q.scale"](i - 1) + w[l .. "q.offset"](i - 1)) * (s * w[l .. "k.scale"](i - 1) + w[l .. "k.offset"](i - 1))
        end
        for i = 1, n do                        -- a positive factor per head is lost in its norm
          local f = i <= 2 and 1 or 3
          local a, b = silu(v[f]), silu(v[f + 1])
          y[i] = (qk > 0 and 1 or -1) * silu(v[i]) / ((a * a + b * b) / 2) ^ 0.5 * w[l .. "out_norm.weight"](i - 1) * silu(u[i])
        end
        local o = map(y, w[l .. "o.weight"])
        for i = 1, n do e[i] = e[i] + o[i] end
        local last = norm(e, w["norm.weight"])
        return { logits = function(_, t)
          local s = 0
          for i = 1, n do s = s + last[i] * w["embed.weight"](t, i - 1) end
          return s
        end }
      end,
    },
  },
}
