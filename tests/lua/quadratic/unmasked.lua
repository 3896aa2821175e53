-- Linear attention without a mask, normalised: every position serves every other, and q (k' v) takes less than (q k') v
-- once there are more positions than channels.
local T, H, K, V = axis "T", axis("H", 2), axis("K", 40), axis("V", 24)

local function mixed(x)
  local function score(t, h, j)
    local s = 0
    for k = 0, 39 do s = s + math.exp(x.q(t, h, k)) * math.exp(x.k(j, h, k)) end
    return s
  end
  return { o = function(t, h, v)
    local sum, z = 0, 0
    for j = 0, x.size.T - 1 do
      local s = score(t, h, j)
      sum, z = sum + s * x.v(j, h, v), z + s
    end
    return sum / z
  end }
end

return model {
  build = function()
    local q, k, v = input("q", { T, H, K }), input("k", { T, H, K }), input("v", { T, H, V })
    local J = T:other()
    local scores = dot(exp(q), exp(k):over(T, J), K)
    return { o = (dot(scores, v:over(T, J), J) / sum(scores, J)):as { T, H, V } }
  end,
  tests = {
    few = { sizes = { T = 5 }, inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } }, expect = mixed },
    many = { sizes = { T = 70 }, inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } }, expect = mixed },
  },
}
