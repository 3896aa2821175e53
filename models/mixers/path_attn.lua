-- PaTH attention. Yang et al. 2025, "PaTH Attention: Position Encoding via Accumulating Householder Transformations", eq. 2 and 3: between a
-- key and a query stand the reflections of all steps in between. The memory keeps a key for each position and turns all of them each step.
--   k_j <- (I - beta_t w_t w_t') k_j for all j < t,  o_t = sum over j <= t of softmax_j(q_t . k_j) v_j
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, w = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("w", { B, T, H, K })
    local v, beta, J = input("v", { B, T, H, V }), input("beta", { B, T, H }), T:other()
    local values = v:over(T, J)
    local o = scan(T, { keys = zeros { B, H, J, K } }, function(s)
      local turned = s.keys - dot(s.keys, w, K) * (beta * w)
      local keys = where(lt(pos(J), pos(T)), turned, where(eq(pos(J), pos(T)), k, s.keys))
      local score = where(causal(T, J), dot(keys, q * c.scale, K), -inf)
      return dot(softmax(score, J), values, J), { keys = keys }
    end)
    return { o = o:as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, w = { random = 3 }, v = { random = 4 }, beta = { random = 5, 0, 2 } },
      expect = function(x)                              -- the query is turned back to the key instead
        local n, q = x.size.K, nil
        q = memo(function(t, j, h, k)                   -- before the reflection of step j + 1
          if j == t then return x.q(0, t, h, k) end
          local along = total(n, function(i) return q(t, j + 1, h, i) * x.w(0, j + 1, h, i) end)
          return q(t, j + 1, h, k) - x.beta(0, j + 1, h) * along * x.w(0, j + 1, h, k)
        end)
        local e = memo(function(t, j, h) return math.exp(n ^ -0.5 * total(n, function(k) return q(t, j, h, k) * x.k(0, j, h, k) end)) end)
        return { o = function(_, t, h, d)
          local all = total(t + 1, function(j) return e(t, j, h) end)
          return total(t + 1, function(j) return e(t, j, h) * x.v(0, j, h, d) end) / all
        end }
      end,
    },
  },
}
