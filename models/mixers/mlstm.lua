-- The matrix memory of xLSTM. Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", eq. 19 to 27: an exponential input gate, kept in
-- range by a running maximum that cancels in the quotient.
--   m_t = max(f_t + m_{t-1}, i_t),  S_t = exp(f_t + m_{t-1} - m_t) S_{t-1} + exp(i_t - m_t) k_t v_t',  n_t likewise with v = 1
--   o_t = S_t' q_t / max(|n_t . q_t|, exp(-m_t));  f and i are logarithms
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }) * c.scale, input("v", { B, T, H, V })
    local f, i = input("f", { B, T, H }), input("i", { B, T, H })
    local start = { S = zeros { B, H, K, V }, n = zeros { B, H, K }, m = full({ B, H }, -1e30) }
    local o, last = scan(T, start, function(s)
      local m = maximum(f + s.m, i)
      local keep, write = exp(f + s.m - m), exp(i - m)
      local S, n = keep * s.S + write * k * v, keep * s.n + write * k
      return dot(q, S, K) / maximum(abs(dot(q, n, K)), exp(-m)), { S = S, n = n, m = m }
    end)
    return { o = o:as { B, T, H, V }, final_max = last.m:as { B, H } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, f = { random = 4, -2, 0 }, i = { random = 5, -3, 3 } },
      expect = function(x)                              -- without the maximum, which cancels
        local K = x.size.K
        local function score(t, j, h)
          local gate = math.exp(x.i(0, j, h) + total(t - j, function(l) return x.f(0, j + 1 + l, h) end))
          return gate * K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * x.k(0, j, h, k) end)
        end
        return { o = function(_, t, h, d)
          local sum = total(t + 1, function(j) return score(t, j, h) * x.v(0, j, h, d) end)
          return sum / math.max(math.abs(total(t + 1, function(j) return score(t, j, h) end)), 1)
        end }
      end,
    },
  },
}
