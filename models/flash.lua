-- FLASH. Hua et al. 2022, "Transformer Quality in Linear Time", section 3.2, eq. 6 to 10: gated attention units whose attention is squared
-- relu inside a group of positions, and linear between groups.
--   q1, k1, q2, k2 = four affine views of z = silu(x Wz);  u, v = silu(x Wu), silu(x Wv)
--   local_t  = sum over i <= t of the same group of relu(q1_t . k1_i / g)^2 v_i
--   global_t = q2_t' (sum over all earlier groups of k2_i v_i') / g          x = x + Wo (u * (local + global))
-- Without `causal`, local sees its whole group and global everything, divided by the length. A group is part of the model's meaning.
local gau = require "gau_quadratic"

return decoder {
  config = { context = 4096, expand = 2, key = 128, group = range(256, 1, 65536), causal = true, rope_theta = 1e4, hidden = 0 },
  mixer = function(x, T, D, c)
    local u, v, z, E, S = gau.unit(x, T, D, c)
    local function view(name) return rope(affine(z, S, name), T, S, c.rope_theta) end
    local q1, k1, q2, k2, g = view "local_q", view "local_k", view "global_q", view "global_k", c.group
    local function same_group(T, J) return eq(pos(J) // g, pos(T) // g) end
    local function seen(T, J) return causal(T, J) & same_group(T, J) end
    local near = gau.local_attention(q1, k1, v, T, S, g, c.causal and seen or same_group)
    local far
    if c.causal then
      far = scan(T, { shown = zeros { S, E }, all = zeros { S, E } }, function(s)   -- what is shown changes when a group begins
        local shown = where(eq(pos(T) % g, 0), s.all, s.shown)
        return dot(q2, shown, S) / g, { shown = shown, all = s.all + k2 * v }
      end)
    else
      far = dot(q2, dot(k2, v, T), S) / size(T)
    end
    return linear(u * (near + far), E, D, "o_proj")
  end,
  small = { key = 2, group = 2, hidden = 0 },
  by_hand = function(x, w, c)
    local z, g, n = plain.linear(x, 4, w "z_proj.weight"), c.group, 4
    local u, v = plain.linear(x, 4, w "u_proj.weight"), plain.linear(x, 4, w "v_proj.weight")
    local function of(name, t, i) return plain.silu(z(t, i)) * w(name .. ".scale")(i) + w(name .. ".offset")(i) end
    local function score(t, i, q, k)           -- both are turned by their positions: their product sees the difference
      local a, b = of(k, i, 0), of(k, i, 1)
      return of(q, t, 0) * (a * math.cos(i - t) - b * math.sin(i - t)) + of(q, t, 1) * (b * math.cos(i - t) + a * math.sin(i - t))
    end
    local function near(t, i) return math.max(score(t, i, "local_q", "local_k") / g, 0) ^ 2 end
    local function far(t, i) return score(t, i, "global_q", "global_k") end
    local function share(t, i)                 -- of position i in what t gets
      if not c.causal then return (t // g == i // g and near(t, i) or 0) + far(t, i) / n end
      return i // g < t // g and far(t, i) / g or i <= t and i // g == t // g and near(t, i) or 0
    end
    local function y(t, e) return plain.silu(u(t, e)) * total(n, function(i) return share(t, i) * plain.silu(v(i, e)) end) end
    return plain.linear(y, 8, w "o_proj.weight")
  end,
  variants = { without_causal = { causal = false } },
}
