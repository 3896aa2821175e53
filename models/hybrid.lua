-- Hybrids: layers of several kinds in the order of `pattern`, which begins anew when it ends. Lieber et al. 2024, "Jamba"; Kimi Team 2025,
-- "Kimi Linear", section 4: a few layers with attention among many with a state of fixed size. The kinds are the mixers of the models
-- beside this file:
--   attention   of griffin.lua       recurrent   of griffin.lua       mamba       of mixers, below
--   gla         of gla.lua           delta_net   of delta_net.lua     gated_deltanet, minGRU, retnet
local griffin = require "griffin"
local kinds, by_hand, config = { attention = griffin.kinds.attention, recurrent = griffin.kinds.recurrent }, {}, {}
for k, f in pairs(griffin.kinds_by_hand) do by_hand[k] = f end
for k, v in pairs(griffin.config) do config[k] = v end
for _, name in ipairs { "gla", "delta_net", "gated_deltanet", "mingru", "retnet" } do
  local m = require(name)
  kinds[name], by_hand[name] = m.mixer, m.by_hand
  for k, v in pairs(m.config) do config[k] = config[k] == nil and v or config[k] end
end

-- Gu and Dao 2023, figure 3:  h_t = exp(d A) h_{t-1} + d x B',  y = Wo ((h C + D x) * silu(z))
function kinds.mamba(x, T, D, c)
  local E, N, R, X = axis("E", 2 * c.dim), axis("N", c.state), axis("rank", c.dt_rank), axis("X", c.dt_rank + 2 * c.state)
  local u, z = silu(causal_conv(linear(x, D, E, "x_proj_in"), T, c.conv, "conv1d", true)), linear(x, D, E, "z_proj")
  local p = linear(u, E, X, "x_proj")
  local d = softplus(linear(p:slice(X, 0, c.dt_rank, R), R, E, "dt_proj", true))
  local B, C = p:slice(X, c.dt_rank, c.state, N), p:slice(X, c.dt_rank + c.state, c.state, N)
  local A = -exp(weight("A_log", { E, N }))
  local y = scan(T, { h = zeros { E, N } }, function(s)
    local h = exp(d * A) * s.h + d * u * B
    return dot(h, C, N), { h = h }
  end)
  return linear((y + weight("D", { E }) * u) * silu(z), E, D, "out_proj")
end

function by_hand.mamba(x, w)
  local u = plain.conv(plain.linear(x, 4, w "x_proj_in.weight"), 2, w "conv1d.weight", w "conv1d.bias")
  local function y(t, e) return plain.silu(u(t, e)) end
  local z, p, h = plain.linear(x, 4, w "z_proj.weight"), plain.linear(y, 8, w "x_proj.weight"), nil
  local function d(t, e) return plain.softplus(w "dt_proj.weight"(e, 0) * p(t, 0) + w "dt_proj.bias"(e)) end
  h = memo(function(t, e, n)
    if t < 0 then return 0 end
    return math.exp(-d(t, e) * math.exp(w "A_log"(e, n))) * h(t - 1, e, n) + d(t, e) * y(t, e) * p(t, 1 + n)
  end)
  local function o(t, e) return (total(2, function(n) return h(t, e, n) * p(t, 3 + n) end) + w "D"(e) * y(t, e)) * plain.silu(z(t, e)) end
  return plain.linear(o, 8, w "out_proj.weight")
end

config.pattern, config.state, config.dt_rank = "mamba mamba attention", 16, function(c) return math.ceil(c.dim / 16) end
local small = {
  width = 3, conv = 2, heads = 2, head_dim = 2, window = 2, expand_k = 1.0, expand_v = 1.0, gate_rank = 1, gate_divisor = 2,
  negative_eigenvalues = true, state = 2, dt_rank = 1,
}
return decoder {
  kinds = kinds, kinds_by_hand = by_hand, config = config, small = small,
  variants = { with_gla = { pattern = "gla attention delta_net mingru", layers = 5 }, with_retnet = { pattern = "retnet gated_deltanet recurrent", layers = 3 } },
}
