-- The quadratic gated attention unit. Hua et al. 2022, "Transformer Quality in Linear Time", section 3.1 and eq. 2 to 5: one unit in place
-- of attention and feed-forward, one head, squared relu in place of softmax.
--   u, v = silu(x Wu), silu(x Wv),  z = silu(x Wz),  q, k = affine(z), rotated,  A = relu(q k' / length)^2,  x = x + Wo (u * (A v))
-- The divisor is a constant: one that grew with the sequence would change what was said before. Without `causal` every position sees all.
local G = {}

function G.unit(x, T, D, c)                    -- of the normed x: the gate u, the values v, and the shared representation z
  local E, S = axis("E", c.dim * c.expand), axis("S", c.key)
  return silu(linear(x, D, E, "u_proj")), silu(linear(x, D, E, "v_proj")), silu(linear(x, D, S, "z_proj")), E, S
end

-- relu(q k' / length)^2 v over the positions that the mask shows, or all
function G.local_attention(q, k, v, T, S, length, mask)
  local J = T:other()
  local score = relu2(dot(q, k:over(T, J), S) / length)
  return dot(mask and where(mask(T, J), score, 0) or score, v:over(T, J), J)
end

local m = decoder {
  config = { context = 4096, expand = 2, key = 128, length = 512, causal = true, rope_theta = 1e4, hidden = 0 },
  mixer = function(x, T, D, c)
    local u, v, z, E, S = G.unit(x, T, D, c)
    local q, k = rope(affine(z, S, "q"), T, S, c.rope_theta), rope(affine(z, S, "k"), T, S, c.rope_theta)
    return linear(u * G.local_attention(q, k, v, T, S, c.length, c.causal and causal), E, D, "o_proj")
  end,
  small = { key = 2, length = 3, hidden = 0 },
  by_hand = function(x, w, c)
    local z = plain.linear(x, 4, w "z_proj.weight")
    local u, v = plain.linear(x, 4, w "u_proj.weight"), plain.linear(x, 4, w "v_proj.weight")
    local function of(name, t, i) return plain.silu(z(t, i)) * w(name .. ".scale")(i) + w(name .. ".offset")(i) end
    local function score(t, i)                 -- both are turned by their positions: their product sees the difference
      local a, b = of("k", i, 0), of("k", i, 1)
      local s = of("q", t, 0) * (a * math.cos(i - t) - b * math.sin(i - t)) + of("q", t, 1) * (b * math.cos(i - t) + a * math.sin(i - t))
      return math.max(s / 3, 0) ^ 2
    end
    local function y(t, e)
      local sum = total(c.causal and t + 1 or 4, function(i) return score(t, i) * plain.silu(v(i, e)) end)
      return plain.silu(u(t, e)) * sum
    end
    return plain.linear(y, 8, w "o_proj.weight")
  end,
  variants = { without_causal = { causal = false } },
}
m.unit, m.local_attention = G.unit, G.local_attention
return m
