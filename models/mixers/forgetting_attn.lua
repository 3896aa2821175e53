-- Forgetting attention. Lin et al. 2025, eq. 5: softmax attention whose scores lose the sum of the log gates in between.
--   o_t = sum over i <= t of softmax_i(q_t . k_i + sum over i < j <= t of g_j) v_i
local B, T, Q, H, G, K, V = axes "B T Q H G K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, window = 0 },
  build = function(c)
    local k, v = input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local q, g = input("q", { B, T, Q, K }):split(Q, { H, G }), input("g", { B, T, Q }):split(Q, { H, G })
    local J = T:other()
    local total = cumsum(g, T)
    local score = dot(q * c.scale, k:over(T, J), K) + total - total:over(T, J)
    local mask = le(pos(J), pos(T))
    if c.window > 0 then mask = mask & lt(pos(T) - pos(J), c.window) end
    local o = dot(softmax(where(mask, score, -inf), J), v:over(T, J), J)
    return { o = o:merge({ H, G }, Q):as { B, T, Q, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, Q = 4, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -2, 0 } },
      expect = function(x)
        local K = x.size.K
        local function e(t, i, h)
          local forgotten = total(t - i, function(j) return x.g(0, i + 1 + j, h) end)
          return math.exp(K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * x.k(0, i, h // 2, k) end) + forgotten)
        end
        return { o = function(_, t, h, d)
          local all = total(t + 1, function(i) return e(t, i, h) end)
          return total(t + 1, function(i) return e(t, i, h) * x.v(0, i, h // 2, d) end) / all
        end }
      end,
    },
  },
}
