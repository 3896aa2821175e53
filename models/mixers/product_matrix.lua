-- A transition that is given as a matrix. Siems et al. 2025, "DeltaProduct", eq. 5: a product of generalised Householder matrices, here two, each with a
-- gate for every channel in front (Peng et al. 2025, "RWKV-7", eq. 16, has one of them). Nothing says that it is of low rank.
--   A_t = (diag(w_t) - beta_t k_t k_t') (I - gamma_t p_t p_t');  S_t = A_t S_{t-1} + k_t v_t',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, p = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("p", { B, T, H, K })
    local v, w = input("v", { B, T, H, V }), input("w", { B, T, H, K })
    local beta, gamma = input("beta", { B, T, H }), input("gamma", { B, T, H })
    local J, M = axis("J", size(K)), axis("M", size(K))
    local eye = eq(iota(K), iota(J))
    local first = where(eye, w, 0) - beta * k * k:over(K, J)
    local second = where(eye, 1, 0) - gamma * p * p:over(K, J)
    local A = dot(first:over(J, M), second:over(K, M), M)
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local S = dot(A, s.S:over(K, J), J) + k * v
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, p = { random = 3 }, v = { random = 4 }, w = { random = 5, 0, 1 }, beta = { random = 6, 0, 1 },
        gamma = { random = 7, 0, 2 }, initial_state = { random = 8 },
      },
      expect = function(x)                              -- one factor after the other: X(t) = the second applied to S(t - 1)
        local K, S = x.size.K, nil
        local function seen(t, h, i, d) return total(K, function(j) return x.p(0, t, h, j) * S(t - 1, h, j, d) end) * x.p(0, t, h, i) * x.gamma(0, t, h) end
        local X = memo(function(t, h, k, d) return S(t - 1, h, k, d) - seen(t, h, k, d) end)
        S = memo(function(t, h, k, d)
          if t < 0 then return x.initial_state(0, h, k, d) end
          local read = total(K, function(j) return x.k(0, t, h, j) * X(t, h, j, d) end)
          return x.w(0, t, h, k) * X(t, h, k, d) + x.k(0, t, h, k) * (x.v(0, t, h, d) - x.beta(0, t, h) * read)
        end)
        return {
          o = function(_, t, h, d) return K ^ -0.5 * total(K, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end,
          final_state = function(_, h, k, d) return S(x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
