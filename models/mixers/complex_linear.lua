-- Linear attention with a complex state, as two real ones. Gu et al. 2022, "S4D", section 3.2, with the token's own step and angles, as
-- Mamba-3 (2025, section 3.2) has them: each channel of the key turns by its angle and decays.
--   z_t = exp(g_t + i theta_t) z_{t-1} + (k_t + i p_t) v_t';  o_t = Re((q_t - i r_t)' z_t)
local B, T, H, K, V = axes "B T H K V"

return model {
  build = function()
    local q, r = input("q", { B, T, H, K }), input("r", { B, T, H, K })
    local k, p, v = input("k", { B, T, H, K }), input("p", { B, T, H, K }), input("v", { B, T, H, V })
    local g, theta = input("g", { B, T, H }), input("theta", { B, T, H, K })
    local c, d = exp(g) * cos(theta), exp(g) * sin(theta)
    local o, last = scan(T, { re = zeros { B, H, K, V }, im = zeros { B, H, K, V } }, function(s)
      local re = c * s.re - d * s.im + k * v
      local im = d * s.re + c * s.im + p * v
      return dot(q, re, K) + dot(r, im, K), { re = re, im = im }
    end)
    return { o = o:as { B, T, H, V }, final_re = last.re:as { B, H, K, V }, final_im = last.im:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 6, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, r = { random = 2 }, k = { random = 3 }, p = { random = 4 }, v = { random = 5 }, g = { random = 6, -1, 0 },
        theta = { random = 7, -3, 3 },
      },
      expect = function(x)                              -- as attention: what stands n steps back is turned by the sum of the angles since
        local K = x.size.K
        local function since(f, i, t) return total(t - i, function(j) return f(i + 1 + j) end) end
        local function turned(t, i, h, k)
          local size = math.exp(since(function(j) return x.g(0, j, h) end, i, t))
          local angle = since(function(j) return x.theta(0, j, h, k) end, i, t)
          local a, b = x.k(0, i, h, k), x.p(0, i, h, k)
          return size * (math.cos(angle) * a - math.sin(angle) * b), size * (math.sin(angle) * a + math.cos(angle) * b)
        end
        local function score(t, i, h)
          return total(K, function(k)
            local re, im = turned(t, i, h, k)
            return x.q(0, t, h, k) * re + x.r(0, t, h, k) * im
          end)
        end
        local n = x.size.T - 1
        return {
          o = function(_, t, h, d) return total(t + 1, function(i) return score(t, i, h) * x.v(0, i, h, d) end) end,
          final_re = function(_, h, k, d) return total(n + 1, function(i) return (turned(n, i, h, k)) * x.v(0, i, h, d) end) end,
          final_im = function(_, h, k, d) return total(n + 1, function(i) return select(2, turned(n, i, h, k)) * x.v(0, i, h, d) end) end,
        }
      end,
    },
  },
}
