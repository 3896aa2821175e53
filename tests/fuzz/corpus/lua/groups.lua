-- Groups in time without splitting it (FLASH): a predicate of positions inside a group, a scan with two states between groups.
local T, K, V = axis "T", axis("K", 2), axis("V", 2)
return model {
  config = { group = range(3, 1, 64) },
  build = function(c)
    local q, k, v = input("q", { T, K }), input("k", { T, K }), input("v", { T, V })
    local J, G = T:other(), c.group
    local near = le(pos(J), pos(T)) & eq(pos(J) // G, pos(T) // G)
    local inside = dot(where(near, relu2(dot(q, k:over(T, J), K) / G), 0), v:over(T, J), J)
    local between = scan(T, { vis = zeros { K, V }, acc = zeros { K, V } }, function(s)
      local vis = where(eq(pos(T) % G, 0), s.acc, s.vis)
      return dot(q, vis, K), { vis = vis, acc = s.acc + k * v }
    end)
    return { o = (inside + between):as { T, V } }
  end,
  tests = {
    small = {
      sizes = { T = 8 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 } },
      expect = function(x)
        return { o = function(t, d)
          local s = 0
          for j = 0, t do
            local p = x.q(t, 0) * x.k(j, 0) + x.q(t, 1) * x.k(j, 1)
            if j // 3 == t // 3 then s = s + math.max(p / 3, 0) ^ 2 * x.v(j, d) else s = s + p * x.v(j, d) end
          end
          return s
        end }
      end,
    },
  },
}
