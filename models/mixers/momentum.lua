-- A memory that learns with momentum. Behrouz et al. 2025, "Titans", eq. 9, 10 and 13, with a linear memory: the gradient of |S' k - v|^2 / 2
-- enters a momentum, the momentum enters the memory. Two states, each is written from the other.
--   M_t = eta_t M_{t-1} - theta_t k_t (S_{t-1}' k_t - v_t)',  S_t = (1 - alpha_t) S_{t-1} + M_t,  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local eta, theta, alpha = input("eta", { B, T, H }), input("theta", { B, T, H }), input("alpha", { B, T, H })
    local start = { S = input("initial_state", { B, H, K, V }, 0), M = input("initial_momentum", { B, H, K, V }, 0) }
    local o, last = scan(T, start, function(s)
      local M = eta * s.M - theta * k * (dot(s.S, k, K) - v)
      local S = (1 - alpha) * s.S + M
      return dot(q * c.scale, S, K), { S = S, M = M }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V }, final_momentum = last.M:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, eta = { random = 4, 0, 1 }, theta = { random = 5, 0, 0.5 },
        alpha = { random = 6, 0, 0.5 }, initial_momentum = { random = 7 },
      },
      expect = function(x)
        local n, S, M = x.size.K, nil, nil
        local function miss(t, h, d) return total(n, function(k) return S(t - 1, h, k, d) * x.k(0, t, h, k) end) - x.v(0, t, h, d) end
        M = memo(function(t, h, k, d)
          if t < 0 then return x.initial_momentum(0, h, k, d) end
          return x.eta(0, t, h) * M(t - 1, h, k, d) - x.theta(0, t, h) * x.k(0, t, h, k) * miss(t, h, d)
        end)
        S = memo(function(t, h, k, d) return t < 0 and 0 or (1 - x.alpha(0, t, h)) * S(t - 1, h, k, d) + M(t, h, k, d) end)
        return {
          o = function(_, t, h, d) return n ^ -0.5 * total(n, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end,
          final_momentum = function(_, h, k, d) return M(x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
