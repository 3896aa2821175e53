-- Softmax attention. Vaswani et al. 2017, eq. 1; grouped heads, a window, and a sink that joins the denominator.
--   o_t = sum over i <= t [and t - i < window] of softmax_i(q_t . k_i) v_i
local B, T, Q, H, G, K, V = axes "B T Q H G K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end, causal = true, window = 0 },
  build = function(c)
    local k, v = input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local q = input("q", { B, T, Q, K }):split(Q, { H, G })
    local J = T:other()
    local score = dot(q * c.scale, k:over(T, J), K)
    if c.causal then score = where(le(pos(J), pos(T)), score, -inf) end
    if c.window > 0 then score = where(lt(pos(T) - pos(J), c.window), score, -inf) end
    local top = max(score, J)
    if given "sink" then
      local sink = input("sink", { Q }):split(Q, { H, G })
      top = maximum(top, sink)
      local e = exp(score - top)
      local o = dot(e, v:over(T, J), J) / (sum(e, J) + exp(sink - top))
      return { o = o:merge({ H, G }, Q):as { B, T, Q, V } }
    end
    local o = dot(softmax(score, J), v:over(T, J), J)
    return { o = o:merge({ H, G }, Q):as { B, T, Q, V } }
  end,
  tests = {
    grouped_window = {
      config = { window = 3 },
      sizes = { B = 1, T = 5, Q = 4, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1, -4, 4 }, k = { random = 2 }, v = { random = 3 }, sink = { random = 4 } },
      expect = function(x)
        local K = x.size.K
        local function e(t, i, h)
          if i < 0 or t - i >= 3 then return 0 end
          return math.exp(K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * x.k(0, i, h // 2, k) end))
        end
        return { o = function(_, t, h, d)
          local all = math.exp(x.sink(h)) + total(t + 1, function(i) return e(t, i, h) end)
          return total(t + 1, function(i) return e(t, i, h) * x.v(0, i, h // 2, d) end) / all
        end }
      end,
    },
    not_causal = {
      config = { causal = false }, sizes = { B = 1, T = 3, Q = 1, H = 1, K = 2, V = 1 },
      inputs = { q = 0, k = { random = 1 }, v = { 1, 2, 6 } }, expect = { o = { 3, 3, 3 } },
    },
  },
}
