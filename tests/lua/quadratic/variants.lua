-- One recurrence each, written as masked sums in as many ways as come to mind: none of them may keep a row for each position.
local T, H, K, V = axis "T", axis("H", 2), axis("K", 3), axis("V", 4)

return model {
  build = function()
    local q, k = input("q", { T, H, K }), input("k", { T, H, K })
    local v, x = input("v", { T, H, V }), input("x", { T, H })
    local J = T:other()
    local i, j, kJ, vJ = pos(T), pos(J), k:over(T, J), v:over(T, J)
    local G = cumsum(logsigmoid(x), T)
    local A = scan(T, { a = full({ H }, 1) }, function(s)
      local a = s.a * sigmoid(x)
      return a, { a = a }
    end)
    local slope = exp(-4 * (iota(H) + 1))
    local out = {
      slope = dot(dot(silu(q), silu(k):over(T, J), K) * f32(le(j, i)) * exp(-(i - j) * slope), vJ, J),
      later_hidden = dot(where(lt(i, j), 0, exp(G - G:over(T, J))) * dot(q, kJ, K) / size(K), vJ, J),
      quotient = dot(where(ge(i - j, 0), exp(G) / exp(G):over(T, J), 0) * dot(exp(q), exp(k):over(T, J), K), vJ, J),
      scaled = dot(where(le(j, i), dot(q * exp(G), (k * exp(-G)):over(T, J), K), 0), vJ, J),
      product = dot(where(le(j, i), A / A:over(T, J) * dot(q, kJ, K), 0), vJ, J),
      mean = sum(where(le(j, i), vJ, 0), J) / sum(where(le(j, i), 1.0, 0), J),
      smooth = sum(where(le(j, i), 0.9 ^ (i - j), 0) * vJ, J),
    }
    for name, y in pairs(out) do out[name] = y:as { T, H, V } end
    return out
  end,
}
