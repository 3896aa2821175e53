-- The standard library: layers and helpers, written in the language itself. Everything here is a global of every model.
--
-- x, q, k, v are tensors; capital letters are axes; `name` is the name of a weight inside the current scope.
-- The primitives (axis, input, weight, scan, dot, sum, where, exp, ..) come from the compiler; docs/language.md lists them.

inf = math.huge

-- pairs goes in order of keys, so that a description is read the same way every time
function pairs(t)
  local keys, i = {}, 0
  for k in next, t do keys[#keys + 1] = k end
  table.sort(keys, function(a, b)
    local x, y = type(a), type(b)
    if x ~= y then return x < y end
    if x == "number" or x == "string" then return a < b end
    return tostring(a) < tostring(b)
  end)
  return function()
    i = i + 1
    return keys[i], t[keys[i]]
  end
end

-- Describing a model ---------------------------------------------------------------------------------------------

function model(m) return m end

-- values of a config with limits: `layers = range(5, 1, 200)`, `act = choice("silu", "gelu")`; the first is the default
function range(default, least, most) return { kind = "range", default, least, most } end
function choice(default, ...) return { kind = "choice", default, ... } end

-- names = prefixed("transformer.", "", { "h.#.ln_1.weight" }): the same tensors under another prefix
function prefixed(from, to, list)
  local names = {}
  for _, n in ipairs(list) do names[from .. n] = to .. n end
  return names
end

-- the entries of both; b's count where both have one
function merged(a, b)
  local out = {}
  for k, v in pairs(a) do out[k] = v end
  for k, v in pairs(b) do out[k] = v end
  return out
end

-- Small functions ------------------------------------------------------------------------------------------------

function relu(x) return maximum(x, 0) end
function relu2(x) return relu(x) ^ 2 end
function silu(x) return x * sigmoid(x) end
function logsigmoid(x) return -softplus(-x) end
function gelu(x) return x * 0.5 * (1 + erf(x * 0.5 ^ 0.5)) end
function gelu_tanh(x) return x * 0.5 * (1 + tanh((2 / math.pi) ^ 0.5 * (x + 0.044715 * x * x * x))) end
function gelu_quick(x) return x * sigmoid(1.702 * x) end
function elu1(x) return where(gt(x, 0), x + 1, exp(minimum(x, 0))) end     -- elu(x) + 1, positive
function laplace(x) return 0.5 * (1 + erf((x - 0.5 ^ 0.5) / (2 / (4 * math.pi)) ^ 0.5)) end
function clamp(x, least, most) return minimum(maximum(x, least), most) end
function lerp(x, y, share) return x + (y - x) * share end                   -- from x (share 0) to y (share 1)

-- by the names that Hugging Face's configs use
local activations = {
  relu = relu, relu2 = relu2, silu = silu, swish = silu, sigmoid = sigmoid, tanh = tanh, gelu = gelu, gelu_new = gelu_tanh,
  gelu_tanh = gelu_tanh, gelu_fast = gelu_tanh, gelu_pytorch_tanh = gelu_tanh, gelu_python_tanh = gelu_tanh, gelu_accurate = gelu_tanh,
  gelu_python = gelu, gelu_quick = gelu_quick, quick_gelu = gelu_quick, laplace = laplace,
  gelu_10 = function(x) return clamp(gelu(x), -10, 10) end, relu6 = function(x) return clamp(x, 0, 6) end,
  leaky_relu = function(x) return where(lt(x, 0), 0.01 * x, x) end, mish = function(x) return x * tanh(softplus(x)) end,
  linear = function(x) return x end,
}
function activation(name) return activations[name] or error("there is no activation " .. tostring(name), 2) end

-- for a config: any of them, `default` if nothing is said
function any_activation(default)
  local names = { default }
  for name in pairs(activations) do names[#names + 1] = name end
  return choice(table.unpack(names))
end

-- Sums along axes ------------------------------------------------------------------------------------------------

function mean(x, a) return sum(x, a) / size(a) end

function softmax(x, a)
  local e = exp(x - max(x, a))
  return e / sum(e, a)
end

function logsumexp(x, a)
  local m = max(x, a)
  return m + log(sum(exp(x - m), a))
end

local function without(x, a)
  local rest = {}
  for _, b in ipairs(x:axes()) do if b ~= a then rest[#rest + 1] = b end end
  return rest
end

function cumsum(x, a)
  return (scan(a, { c = zeros(without(x, a)) }, function(s)
    local c = s.c + x
    return c, { c = c }
  end))
end

function cumsum_back(x, a)
  return (scan_back(a, { c = zeros(without(x, a)) }, function(s)
    local c = s.c + x
    return c, { c = c }
  end))
end

-- how many along a are larger (of equals: come earlier): 0 is the largest, so top-k is lt(rank(x, a), k)
function rank(x, a)
  local b = axis(tostring(a) .. "#", size(a))
  local y = x:over(a, b)
  return sum(where(gt(y, x) | (eq(y, x) & lt(iota(b), iota(a))), 1, 0), b)
end

function argmax(x, a) return sum(where(eq(rank(x, a), 0), iota(a), 0), a) end

-- Norms ----------------------------------------------------------------------------------------------------------

function rms(x, a, eps) return x * (mean(x * x, a) + eps) ^ -0.5 end

function norm2(x, a, least) return x / maximum(sum(x * x, a) ^ 0.5, least or 1e-12) end      -- to length 1
function unit(x, a, eps) return x * (sum(x * x, a) + (eps or 1e-6)) ^ -0.5 end               -- the same, as the delta rules have it

function rmsnorm(x, a, name, eps)
  local y = rms(x, a, eps)
  return name and y * weight(name .. ".weight", { a }) or y
end

function layernorm(x, a, name, eps)
  local d = x - mean(x, a)
  local y = d * (mean(d * d, a) + eps) ^ -0.5
  return name and y * weight(name .. ".weight", { a }) + weight(name .. ".bias", { a }) or y
end

-- x over (H, K): each group of K by itself, then as D = H * K, with weight and bias
function groupnorm(x, H, K, D, name, eps)
  return layernorm(x, K, nil, eps):merge({ H, K }, D) * weight(name .. ".weight", { D }) + weight(name .. ".bias", { D })
end

-- Linear maps ----------------------------------------------------------------------------------------------------

-- weight [to, from] as torch stores it; `bias` (true or false) adds name.bias [to]
function linear(x, from, to, name, bias)
  local out = to == from and axis(tostring(to) .. "^", size(to)) or to          -- a square matrix has two axes
  local y = dot(x, weight(name .. ".weight", { out, from }), from)
  if out ~= to then y = y:over(out, to) end
  return bias and y + weight(name .. ".bias", { to }) or y
end

-- into heads, over (H, K), and out of them; name.weight is [H*K, from] and [to, H*K]
function to_heads(x, from, H, K, name, bias)
  local all = axis(tostring(H) .. "*" .. tostring(K), size(H) * size(K))
  return linear(x, from, all, name, bias):split(all, { H, K })
end

function from_heads(x, H, K, to, name, bias)
  local all = axis(tostring(H) .. "*" .. tostring(K), size(H) * size(K))
  return linear(x:merge({ H, K }, all), all, to, name, bias)
end

function affine(x, a, name) return x * weight(name .. ".scale", { a }) + weight(name .. ".offset", { a }) end

function embedding(ids, V, D, name) return gather(weight(name .. ".weight", { V, D }), ids, V) end

-- Position -------------------------------------------------------------------------------------------------------

-- Ways to stretch rotary frequencies, by the names and keys of Hugging Face's rope_parameters. Each gets the list of frequencies
-- (one for each pair), the base, and the number of rotated channels, and changes the list in place; what it returns multiplies the result.
local scalings = {}
function scalings.default() end
function scalings.dynamic() end                                                -- changes nothing up to max_position_embeddings
function scalings.linear(f, o) for i = 1, #f do f[i] = f[i] / o.factor end end
function scalings.ntk(f, o, base, n)
  local b = base * o.factor ^ (n / (n - 2))
  for i = 1, #f do f[i] = b ^ (-2 * (i - 1) / n) end
end
function scalings.llama3(f, o)
  local long, short = o.original / o.low, o.original / o.high                  -- wavelengths between which the two are blended
  for i = 1, #f do
    local wave = 2 * math.pi / f[i]
    if wave > long then
      f[i] = f[i] / o.factor
    elseif wave > short then
      local s = (o.original / wave - o.low) / (o.high - o.low)
      f[i] = (1 - s) * f[i] / o.factor + s * f[i]
    end
  end
end
function scalings.yarn(f, o, base, n)
  local function pair(turns) return n * math.log(o.original / (turns * 2 * math.pi)) / (2 * math.log(base)) end
  local lo, hi = pair(o.fast or 32), pair(o.slow or 1)
  if o.truncate ~= false then lo, hi = math.floor(lo), math.ceil(hi) end
  lo, hi = math.max(lo, 0), math.min(hi, n - 1)
  for i = 1, #f do
    local slow = math.min(math.max((i - 1 - lo) / (hi == lo and 0.001 or hi - lo), 0), 1)
    f[i] = f[i] / o.factor * slow + f[i] * (1 - slow)
  end
  local function grown(by) return o.factor > 1 and 0.1 * by * math.log(o.factor) + 1 or 1 end
  if (o.gain or 0) > 0 then return o.gain end
  if (o.mscale or 0) > 0 and (o.mscale_all or 0) > 0 then return grown(o.mscale) / grown(o.mscale_all) end
  return grown(1)
end

-- Rotates pairs of channels of x along a by position * theta^(-2i/n).
--   opts.interleaved   pairs are (2i, 2i+1) instead of (i, i + n/2)
--   opts.width         only the first `width` channels are rotated
--   opts.scaling       { kind = "linear" | "ntk" | "llama3" | "yarn", factor =, original =, low =, high = }
function rope(x, T, a, theta, opts)
  opts = opts or {}
  local n = opts.width or size(a)
  if n < size(a) then
    local head, tail = axis(tostring(a) .. "<", n), axis(tostring(a) .. ">", size(a) - n)
    local turned = rope(x:slice(a, 0, n, head), T, head, theta, { interleaved = opts.interleaved, scaling = opts.scaling })
    return concat(a, { turned, head }, { x:slice(a, n, size(a) - n, tail), tail })
  end
  local half, R = axis(tostring(a) .. "/2", n // 2), axis("re,im", 2)
  local f, o = {}, opts.scaling or { kind = "default" }
  for i = 1, n // 2 do f[i] = theta ^ (-2 * (i - 1) / n) end
  local scaling = scalings[o.kind or "default"] or error("there is no rope scaling " .. tostring(o.kind), 2)
  local gain = scaling(f, o, theta, n) or 1
  local angle = pos(T) * const(f, { half }, f32)
  local c, s = cos(angle) * gain, sin(angle) * gain
  local function turn(u, v) return u * c - v * s, v * c + u * s end
  if opts.interleaved then
    local y = x:split(a, { half, R })
    return stack(R, { turn(y:at(R, 0), y:at(R, 1)) }):merge({ half, R }, a)
  end
  local u, v = turn(x:slice(a, 0, n // 2, half), x:slice(a, n // 2, n // 2, half))
  return concat(a, { u, half }, { v, half })
end

-- What Hugging Face's configs say about rotary positions: merged into config and keys of a model, then asked by rope_options(c).
local function rope_key(name, older) return { "rope_parameters." .. name, "rope_scaling." .. name, older } end
rope_config = {
  rope_theta = 1e4, rope_type = choice("default", "linear", "dynamic", "llama3", "yarn"), rope_factor = 1.0, rope_part = 1.0,
  rope_low = 1.0, rope_high = 4.0, rope_fast = 32.0, rope_slow = 1.0, rope_gain = 0.0, rope_mscale = 0.0, rope_mscale_all = 0.0,
  rope_truncate = true, rope_interleaved = 0, rope_original = function(c) return c.context end,
}
rope_keys = {
  rope_theta = rope_key("rope_theta", "rope_theta"), rope_part = rope_key("partial_rotary_factor", "partial_rotary_factor"),
  rope_type = { "rope_parameters.rope_type", "rope_parameters.type", "rope_scaling.rope_type", "rope_scaling.type" },
  rope_factor = rope_key "factor", rope_low = rope_key "low_freq_factor", rope_high = rope_key "high_freq_factor",
  rope_fast = rope_key "beta_fast", rope_slow = rope_key "beta_slow", rope_gain = rope_key "attention_factor",
  rope_mscale = rope_key "mscale", rope_mscale_all = rope_key "mscale_all_dim", rope_truncate = rope_key "truncate",
  rope_original = rope_key("original_max_position_embeddings", "original_max_position_embeddings"),
}
function rope_options(c, channels)
  return {
    interleaved = c.rope_interleaved ~= 0, width = channels and math.floor(channels * c.rope_part),
    scaling = {
      kind = c.rope_type, factor = c.rope_factor, low = c.rope_low, high = c.rope_high, fast = c.rope_fast, slow = c.rope_slow,
      gain = c.rope_gain, mscale = c.rope_mscale, mscale_all = c.rope_mscale_all, truncate = c.rope_truncate, original = c.rope_original,
    },
  }
end

-- Attention ------------------------------------------------------------------------------------------------------

-- masks: which positions J a position T may see
function causal(T, J) return le(pos(J), pos(T)) end
function sliding(n) return function(T, J) return causal(T, J) & lt(pos(T) - pos(J), n) end end

-- q over (T, .., K), k over (T, .., K), v over (T, .., V). Heads are whatever axes they have; where q has an axis more than k (a group of
-- query heads for each key head), k is shared along it. mask: causal, sliding(n), any function of (T, J), or nil to see everything.
--   opts.scale   of the scores, size(K)^-0.5
--   opts.sink    logits over the heads that take part in the softmax and stand for no value
--   opts.bias    function of (T, J) that is added to the scores
function attention(q, k, v, T, K, mask, opts)
  opts = opts or {}
  local J = T:other()
  local score = dot(q, k:over(T, J), K) * (opts.scale or size(K) ^ -0.5)
  if opts.bias then score = score + opts.bias(T, J) end
  if mask then score = where(mask(T, J), score, -inf) end
  local m = max(score, J)
  if opts.sink then m = maximum(m, opts.sink) end
  local e = exp(score - m)
  local all = sum(e, J)
  if opts.sink then all = all + exp(opts.sink - m) end
  return dot(e, v:over(T, J), J) / all                       -- divided once for each value, not for each position
end

-- What Hugging Face's configs say of sliding windows, as rope_config: layer_types for each layer by itself; without it, all layers from
-- max_window_layers on, if there is a window at all (Qwen names one that counts only with use_sliding_window).
window_config = {
  window = range(0, 0, 2 ^ 31), use_window = function(c) return not c.model_type:find "^qwen" end, full_layers = 0, layer_types = {}, model_type = "",
}
window_keys = { window = "sliding_window", use_window = "use_sliding_window", full_layers = "max_window_layers" }
local sliding_types = { full_attention = false, sliding_attention = true }
function layer_mask(c, i)                                    -- of layer i, from 0
  local slides = c.window > 0 and c.use_window and i >= c.full_layers
  if #c.layer_types > 0 then
    local kind = c.layer_types[i + 1] or "nothing"
    slides = sliding_types[kind]
    if slides == nil then error(("layer_types says %s for layer %d; there are full_attention and sliding_attention"):format(kind, i), 0) end
    if slides and c.window == 0 then error(("layer_types says sliding_attention for layer %d, and sliding_window is not set"):format(i), 0) end
  end
  return slides and sliding(c.window) or causal
end

-- Self-attention with query heads that share key heads, as a layer of Llama and of its relatives: q_proj, k_proj, v_proj and o_proj in the
-- current scope; biases where c.attention_bias says or the checkpoint has them, norms of each head where it has q_norm.weight.
function shared_heads_attention(n, T, D, c, mask)
  if c.kv_heads < 1 or c.heads < 1 or c.heads % c.kv_heads ~= 0 then
    error(("%d heads do not share %d key heads evenly (num_attention_heads, num_key_value_heads)"):format(c.heads, c.kv_heads), 0)
  end
  local H, G, K, Kv = axis("H", c.kv_heads), axis("G", c.heads // c.kv_heads), axis("K", c.head_dim), axis("Kv", c.head_dim)
  local Q, KV = axis("Q", c.heads * c.head_dim), axis("KV", c.kv_heads * c.head_dim)
  local function map(x, from, to, name) return linear(x, from, to, name, c.attention_bias or has_weight(name .. ".bias")) end
  local q, k = map(n, D, Q, "q_proj"):split(Q, { H, G, K }), map(n, D, KV, "k_proj"):split(KV, { H, K })
  if has_weight "q_norm.weight" then q, k = rmsnorm(q, K, "q_norm", c.eps), rmsnorm(k, K, "k_norm", c.eps) end
  local turn = rope_options(c)
  q, k = rope(q, T, K, c.rope_theta, turn), rope(k, T, K, c.rope_theta, turn)
  local v = map(n, D, KV, "v_proj"):split(KV, { H, Kv })
  return map(attention(q, k, v, T, K, mask):merge({ H, G, Kv }, Q), Q, D, "o_proj")
end

-- Feed-forward, convolutions, gates ------------------------------------------------------------------------------

-- names = { up, down }
function mlp(x, D, F, names, act, bias) return linear(act(linear(x, D, F, names[1], bias)), F, D, names[2], bias) end

-- names = { gate, up, down }
function swiglu(x, D, F, names, act, bias)
  local gate, up = linear(x, D, F, names[1], bias), linear(x, D, F, names[2], bias)
  return linear((act or silu)(gate) * up, F, D, names[3], bias)
end

-- depthwise over time, newest tap last; `bias` adds name.bias
function causal_conv(x, T, taps, name, bias)
  local W, rest = axis("tap", taps), without(x, T)
  local C = rest[#rest]
  local y = dot(window(x, T, W), weight(name .. ".weight", { C, W }), W)
  return bias and y + weight(name .. ".bias", { C }) or y
end

-- into heads, through a short convolution and silu: name_proj.weight and name_conv1d.weight [H*K, 1, taps]
function conv_heads(x, T, from, H, K, taps, name)
  local all, W, one = axis(tostring(H) .. "*" .. tostring(K), size(H) * size(K)), axis("tap", taps), axis("one", 1)
  local y = window(linear(x, from, all, name .. "_proj"), T, W)
  return silu(dot(y, weight(name .. "_conv1d.weight", { all, one, W }):at(one, 0), W)):split(all, { H, K })
end

-- x mixed with x one step earlier
function token_shift(x, T, mix) return lerp(x, shift(x, T, 1), mix) end

-- The linear-attention scan that many mixers are: S = decay * S + k v', o = S' q. decay is over any of the axes of S (or a number).
function gated_scan(q, k, v, decay, T, K, S0)
  local o, last = scan(T, { S = S0 }, function(s)
    local S = decay * s.S + k * v
    return dot(q, S, K), { S = S }
  end)
  return o, last.S
end

-- The same read before the write, with a bonus for the current step: o = (S + bonus * k v')' q, S = decay * S + k v'.
function bonus_scan(q, k, v, decay, bonus, T, K, S0)
  local o, last = scan(T, { S = S0 }, function(s)
    local kv = k * v
    return dot(s.S + bonus * kv, q, K), { S = decay * s.S + kv }
  end)
  return o, last.S
end

-- The delta rule: R = decay * S, S = R + k (beta * (v - R' k))', o = S' q: what is stored at k gives way to v, by a share of beta.
function delta_scan(q, k, v, beta, decay, T, K, S0)
  local o, last = scan(T, { S = S0 }, function(s)
    local R = decay * s.S
    local S = R + k * (beta * (v - dot(R, k, K)))
    return dot(q, S, K), { S = S }
  end)
  return o, last.S
end

-- Random numbers that depend on a seed and a place alone (splitmix64): the same on every machine, in every order.
local function bits(seed, i)
  local z = (seed * 0x9E3779B97F4A7C15 + i + 1) * 0x9E3779B97F4A7C15
  z = (z ~ z >> 30) * 0xBF58476D1CE4E5B9
  z = (z ~ z >> 27) * 0x94D049BB133111EB
  return z ~ z >> 31
end
function random_uniform(seed, i) return ((bits(seed, i) >> 11) + 0.5) * 2.0 ^ -53 end           -- in (0, 1)
function random_normal(seed, i)
  return (-2 * math.log(random_uniform(seed, 2 * i))) ^ 0.5 * math.cos(2 * math.pi * random_uniform(seed, 2 * i + 1))
end

-- Language models ------------------------------------------------------------------------------------------------

-- Tokens to logits around layers(x), over (T, D) like the embeddings x, and a last norm(x, name). names = { embeddings, norm, head }: one
-- tensor serves as embeddings and head if c.tied.
function language_model(T, D, c, names, norm, layers)
  local V = axis("vocab", c.vocab)
  local embed = weight(names[1] .. ".weight", { V, D })
  local x = layers(gather(embed, input("tokens", { T }, int), V))
  local head = c.tied and embed or weight(names[3] .. ".weight", { V, D })
  return { logits = dot(norm(x, names[2]), head, D):as { T, V } }
end

-- Layers on a stream: layer i of n, in scope path.i, adds the parts in turn, x = x + f(norm(x, name), i); each is { name, scope, f }.
function residual_layers(x, n, path, norm, parts)
  for i = 0, n - 1 do
    scope(path, i, function()
      for _, part in ipairs(parts) do
        local y = norm(x, part[1])
        scope(part[2], function() x = x + part[3](y, i) end)
      end
    end)
  end
  return x
end

-- of several kinds the one of layer i in a pattern, as in "mamba mamba attention", is called; the pattern begins anew when it ends
local function kind(kinds, pattern, i)
  local names = {}
  for name in pattern:gmatch "%S+" do names[#names + 1] = name end
  return kinds[names[i % #names + 1]] or error("pattern: there is no kind of layers " .. tostring(names[i % #names + 1]), 0)
end

-- The model table of a decoder around m.mixer, one way of mixing along time. Weights are called as flash-linear-attention calls them.
--   x = embeddings;  in every layer x = x + mixer(norm(x)), x = x + swiglu(norm(x));  logits = lm_head(norm(x))
-- m.mixer(x, T, D, c, i, shared) is over (T, D) like its x, its weights are model.layers.i.attn.*. m.config and m.keys are added to those
-- below. m.shared(c) is what all layers use, its weights are model.*.
-- m.kinds in place of m.mixer: several mixers by name, in the order of c.pattern, which begins anew when it ends.
-- m.by_hand, the same mixer in plain numbers (see decoder_test; or kinds_by_hand), makes self-tests of a small model: one with the config
-- m.small, one more for each of m.variants. hidden = 0 leaves the feed-forward layers out.
function decoder(m)
  local config = {
    vocab = 256, dim = 128, layers = range(4, 1, 1000), eps = 1e-6, positions = 0,
    hidden = function(c) return 4 * c.dim end,
    tied = function() return not has_weight "lm_head.weight" end,
  }
  local keys = { vocab = "vocab_size", dim = "hidden_size", layers = "num_hidden_layers", hidden = "intermediate_size", eps = "norm_eps", tied = "tie_word_embeddings" }
  for k, v in pairs(m.config or {}) do config[k] = v end
  for k, v in pairs(m.keys or {}) do keys[k] = v end
  if m.kinds then
    function m.mixer(x, T, D, c, i, ...) return kind(m.kinds, c.pattern, i)(x, T, D, c, i, ...) end
    function m.by_hand(x, w, c, i, ...) return kind(m.kinds_by_hand, c.pattern, i)(x, w, c, i, ...) end
  end
  m.config, m.keys, m.tokenizer, m.context = config, keys, m.tokenizer or { kind = "file" }, config.context and "context" or "positions"
  function m.build(c)
    local T, D = axis "T", axis("D", c.dim)
    local function norm(x, name) return rmsnorm(x, D, name, c.eps) end
    return language_model(T, D, c, { "model.embeddings", "model.norm", "lm_head" }, norm, function(x)
      if c.positions > 0 then x = x + embedding(pos(T), axis("positions", c.positions), D, "model.positions") end
      local shared = m.shared and scope("model", function() return m.shared(c) end)
      local parts = { { "attn_norm", "attn", function(n, i) return m.mixer(n, T, D, c, i, shared) end } }
      if c.hidden > 0 then
        parts[2] = { "mlp_norm", "mlp", function(n) return swiglu(n, D, axis("F", c.hidden), { "gate_proj", "up_proj", "down_proj" }) end }
      end
      return residual_layers(x, c.layers, "model.layers", norm, parts)
    end)
  end
  m.tests = m.tests or {}
  if m.by_hand then m.tests.small = decoder_test(m.by_hand, m.small) end
  for name, more in pairs(m.variants or {}) do m.tests[name] = decoder_test(m.by_hand, m.small, more) end
  return m
end

-- Self-tests -----------------------------------------------------------------------------------------------------
-- An expectation is written in plain numbers, as functions of indices that count from 0, the way equations stand in papers.

-- f(0) + f(1) + .. + f(n-1)
function total(n, f)
  local s = 0
  for i = 0, n - 1 do s = s + f(i) end
  return s
end

-- f, which remembers what it gave: a recurrence S(t) = a * S(t - 1) + .. is written as it stands
function memo(f)
  local known = {}
  return function(...)
    local key = table.concat({ ... }, ",")
    if known[key] == nil then known[key] = f(...) end
    return known[key]
  end
end

-- the same in plain numbers: x(t, i) is a function of position and channel, w(i, j) a weight
plain = {}
function plain.sigmoid(x) return 1 / (1 + math.exp(-x)) end
function plain.tanh(x) return 1 - 2 / (math.exp(2 * x) + 1) end
function plain.silu(x) return x / (1 + math.exp(-x)) end
function plain.softplus(x) return math.log(1 + math.exp(x)) end
function plain.gelu_tanh(x) return x * plain.sigmoid(2 * (2 / math.pi) ^ 0.5 * (x + 0.044715 * x ^ 3)) end
function plain.gelu(x)                         -- with the series of erf, for small x
  local term, sum = x / 2 ^ 0.5, 0
  for n = 0, 60 do sum, term = sum + term / (2 * n + 1), -term * x * x / 2 / (n + 1) end
  return x / 2 * (1 + 2 / math.pi ^ 0.5 * sum)
end
function plain.linear(x, n, w, b)
  return memo(function(t, i) return total(n, function(j) return w(i, j) * x(t, j) end) + (b and b(i) or 0) end)
end
function plain.rmsnorm(x, n, w, eps)           -- over groups of n channels, which share n weights
  local size = memo(function(t, g) return total(n, function(i) return x(t, g * n + i) ^ 2 end) / n + eps end)
  return function(t, i) return x(t, i) * size(t, i // n) ^ -0.5 * w(i % n) end
end
function plain.layernorm(x, n, w, b, eps)      -- over groups of n channels; w and b of all channels
  local mean = memo(function(t, g) return total(n, function(i) return x(t, g * n + i) end) / n end)
  local size = memo(function(t, g) return total(n, function(i) return (x(t, g * n + i) - mean(t, g)) ^ 2 end) / n + eps end)
  return memo(function(t, i) return (x(t, i) - mean(t, i // n)) * size(t, i // n) ^ -0.5 * w(i) + b(i) end)
end
function plain.plus(x, y) return memo(function(t, i) return x(t, i) + y(t, i) end) end
function plain.before(x, t, i) return t > 0 and x(t - 1, i) or 0 end      -- one step earlier
function plain.conv(x, taps, w, b)             -- causal and depthwise, newest tap last
  return memo(function(t, i)
    return total(taps, function(j) return t - taps + 1 + j < 0 and 0 or w(i, j) * x(t - taps + 1 + j, i) end) + (b and b(i) or 0)
  end)
end

-- The self-test of a decoder: mixer(n, w, c, i, x) gets the normed input n(t, d), w(name) for the layer's weights, the config, the layer
-- and all that an expectation gets, and returns the mixer's output as a function of (t, d).
function decoder_test(mixer, config, more)
  local small = { vocab = 5, dim = 4, hidden = 3, layers = 2, eps = 0.01, tied = false }
  for k, v in pairs(config or {}) do small[k] = v end
  for k, v in pairs(more or {}) do small[k] = v end
  local function expect(x)
    local c, w, h = x.config, x.weight, nil
    local function norm(y, name) return plain.rmsnorm(y, c.dim, w[name .. ".weight"], c.eps) end
    h = function(t, d)
      return w["model.embeddings.weight"](x.tokens(t), d) + (c.positions > 0 and w["model.positions.weight"](t, d) or 0)
    end
    for i = 0, c.layers - 1 do
      local layer = "model.layers." .. i .. "."
      h = plain.plus(h, mixer(norm(h, layer .. "attn_norm"), function(name) return w[layer .. "attn." .. name] end, c, i, x))
      if c.hidden > 0 then
        local n = norm(h, layer .. "mlp_norm")
        local gate, up = plain.linear(n, c.dim, w[layer .. "mlp.gate_proj.weight"]), plain.linear(n, c.dim, w[layer .. "mlp.up_proj.weight"])
        local function both(t, f) return plain.silu(gate(t, f)) * up(t, f) end
        h = plain.plus(h, plain.linear(both, c.hidden, w[layer .. "mlp.down_proj.weight"]))
      end
    end
    return { logits = plain.linear(norm(h, "model.norm"), c.dim, w["lm_head.weight"]) }
  end
  return { config = small, sizes = { T = 4 }, inputs = { tokens = { 3, 1, 4, 1 } }, weights = { random = 1 }, expect = expect }
end
