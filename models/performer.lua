-- Performer. Choromanski et al. 2020, "Rethinking Attention with Performers", lemma 1 and section 3: the softmax kernel as a mean over
-- positive random features, so that attention is a state. The random matrix is orthogonal in blocks, its rows as long as Gaussian ones;
-- it is the checkpoint's, or else made from a seed.
--   phi(x) = exp(P x - |x|^2 / 2 - m),  S_t = S_{t-1} + phi(k_t) v_t',  z_t = z_{t-1} + phi(k_t),  o_t = S_t' phi(q_t) / (z_t . phi(q_t))
-- m keeps the exponents below 0. A query has its own. The keys' is the largest exponent so far, not that of the whole sequence: the state
-- is rescaled when it grows.
local function gaussian(rows, n, seed)         -- n columns; rows of a block are orthogonal (Gram and Schmidt)
  local P, values = {}, {}
  for r = 1, rows do
    local v, long = {}, total(n, function(i) return random_normal(seed + 1, r * n + i) ^ 2 end) ^ 0.5
    for i = 1, n do v[i] = random_normal(seed, r * n + i) end
    for b = (r - 1) // n * n + 1, r - 1 do
      local along = total(n, function(i) return v[i + 1] * P[b][i + 1] end)
      for i = 1, n do v[i] = v[i] - along * P[b][i] end
    end
    local size = total(n, function(i) return v[i + 1] ^ 2 end) ^ 0.5
    for i = 1, n do v[i] = v[i] / size; values[#values + 1] = v[i] * long end
    P[r] = v
  end
  return values
end

return decoder {
  config = {
    heads = 4, features = function(c) local n = c.dim // c.heads return math.floor(n * math.log(n)) end, seed = 1, positions = 1024, least = 1e-9,
  },
  shared = function(c)
    local M, K = axis("M", c.features), axis("K", c.dim // c.heads)
    if has_weight "projection_matrix" then return weight("projection_matrix", { M, K }) end
    return const(gaussian(c.features, size(K), c.seed), { M, K }, f32)
  end,
  mixer = function(x, T, D, c, _, P)
    local H, M, K, V = axis("H", c.heads), axis("M", c.features), axis("K", c.dim // c.heads), axis("V", c.dim // c.heads)
    local q, k = to_heads(x, D, H, K, "q_proj") * size(K) ^ -0.25, to_heads(x, D, H, K, "k_proj") * size(K) ^ -0.25
    local v = to_heads(x, D, H, V, "v_proj")
    local eq, ek = dot(q, P, K) - sum(q * q, K) / 2, dot(k, P, K) - sum(k * k, K) / 2
    local phi_q, most = exp(eq - max(eq, M)), max(ek, M)
    local o = scan(T, { S = zeros { H, M, V }, z = zeros { H, M }, m = full({ H }, -1e30) }, function(s)
      local m = maximum(s.m, most)
      local keep, phi_k = exp(s.m - m), exp(ek - m)
      local S, z = keep * s.S + phi_k * v, keep * s.z + phi_k
      return dot(phi_q, S, M) / (dot(phi_q, z, M) + c.least), { S = S, z = z, m = m }
    end)
    return from_heads(o, H, V, D, "o_proj")
  end,
  small = { heads = 2, features = 3, positions = 8 },
  by_hand = function(x, w, c)                  -- one weight for each pair of positions
    local P = gaussian(3, 2, c.seed)
    local q, k, v = plain.linear(x, 4, w "q_proj.weight"), plain.linear(x, 4, w "k_proj.weight"), plain.linear(x, 4, w "v_proj.weight")
    local function phi(y, t, h, m)
      return math.exp(total(2, function(j) local a = y(t, 2 * h + j) * 2 ^ -0.25 return P[2 * m + j + 1] * a - a * a / 2 end))
    end
    local function score(t, i, h) return total(3, function(m) return phi(q, t, h, m) * phi(k, i, h, m) end) end
    local function o(t, d)
      local all = total(t + 1, function(i) return score(t, i, d // 2) end)
      return total(t + 1, function(i) return score(t, i, d // 2) * v(i, d) end) / all
    end
    return plain.linear(o, 4, w "o_proj.weight")
  end,
}
