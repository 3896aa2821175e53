-- Test-time training in mini-batches. Sun et al. 2024, "Learning to (Learn at Test Time)", eq. 7: all gradients of a mini-batch are taken at the memory with which
-- it began, with momentum and weight decay (Behrouz et al. 2025, "Titans", eq. 13). Three states: the memory, that of the batch's start, and the momentum.
--   S0_t = S_{t-1} where a batch begins, else S0_{t-1};  M_t = eta_t M_{t-1} - theta_t k_t (S0_t' k_t - v_t)';  S_t = alpha_t S_{t-1} + M_t;  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { batch = range(4, 1, 65536), scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local eta, theta, alpha = input("eta", { B, T, H }), input("theta", { B, T, H }), input("alpha", { B, T, H })
    local start = { S = input("initial_state", { B, H, K, V }, 0), S0 = zeros { B, H, K, V }, M = zeros { B, H, K, V } }
    local o, last = scan(T, start, function(s)
      local S0 = where(eq(pos(T) % c.batch, 0), s.S, s.S0)
      local M = eta * s.M - theta * k * (dot(k, S0, K) - v)
      local S = alpha * s.S + M
      return dot(q * c.scale, S, K), { S = S, S0 = S0, M = M }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 10, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, eta = { random = 4, 0, 1 }, theta = { random = 5, 0, 0.5 }, alpha = { random = 6, 0.5, 1 },
        initial_state = { random = 7 },
      },
      expect = function(x)
        local n, S, M = x.size.K, nil, nil
        local function miss(t, h, d) return total(n, function(k) return S(t - t % 4 - 1, h, k, d) * x.k(0, t, h, k) end) - x.v(0, t, h, d) end
        M = memo(function(t, h, k, d)
          return t < 0 and 0 or x.eta(0, t, h) * M(t - 1, h, k, d) - x.theta(0, t, h) * x.k(0, t, h, k) * miss(t, h, d)
        end)
        S = memo(function(t, h, k, d)
          return t < 0 and x.initial_state(0, h, k, d) or x.alpha(0, t, h) * S(t - 1, h, k, d) + M(t, h, k, d)
        end)
        return {
          o = function(_, t, h, d) return n ^ -0.5 * total(n, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end,
          final_state = function(_, h, k, d) return S(x.size.T - 1, h, k, d) end,
        }
      end,
    },
  },
}
