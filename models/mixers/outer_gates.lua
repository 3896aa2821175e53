-- A memory that forgets by rows and by columns. Yang et al. 2023, "Gated linear attention", eq. 3, with its gate G = alpha beta' left whole
-- (GLA itself sets beta to 1), and an error-correcting write whose erase gate is apart from its write gate.
--   S <- (alpha_t beta_t') * S_{t-1};  S_t = S - k_t e_t (S' k_t)' + k_t w_t v_t';  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local alpha, beta = input("alpha", { B, T, H, K }), input("beta", { B, T, H, V })
    local erase, write = input("erase", { B, T, H }), input("write", { B, T, H })
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local S = alpha * beta * s.S
      S = S + k * (write * v - erase * dot(k, S, K))
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, alpha = { random = 4, 0, 1 }, beta = { random = 5, 0, 1 },
        erase = { random = 6, 0, 1 }, write = { random = 7, 0, 1 }, initial_state = { random = 8 },
      },
      expect = function(x)
        local n, S = x.size.K, nil
        local function kept(t, h, k, d) return x.alpha(0, t, h, k) * x.beta(0, t, h, d) * S(t - 1, h, k, d) end
        local function stored(t, h, d) return total(n, function(k) return x.k(0, t, h, k) * kept(t, h, k, d) end) end
        S = memo(function(t, h, k, d)
          if t < 0 then return x.initial_state(0, h, k, d) end
          return kept(t, h, k, d) + x.k(0, t, h, k) * (x.write(0, t, h) * x.v(0, t, h, d) - x.erase(0, t, h) * stored(t, h, d))
        end)
        return {
          o = function(_, t, h, d) return n ^ -0.5 * total(n, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end,
          final_state = function(_, h, k, d) return S(x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
