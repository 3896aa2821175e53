-- TTT-Linear. Sun et al. 2024, "Learning to (Learn at Test Time)", eq. 4 and section 2.3, one token a batch: the state is a linear model that
-- takes a gradient step on |norm(W' k) - v|^2 / 2 at each position. The norm makes the step anything but affine.
--   z = W' k,  W_t = W_{t-1} - eta_t k (dL/dz)',  o_t = q + norm(W_t' q)
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { eps = 1e-6 },
  build = function(c)
    local q, k, v = input("q", { B, T, H, V }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local eta = input("eta", { B, T, H })
    local qk = q:over(V, K)
    local o, last = scan(T, { W = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local z = dot(s.W, k, K)
      local d = z - mean(z, V)
      local r = (mean(d * d, V) + c.eps) ^ -0.5
      local n = d * r
      local g = n - v                                                    -- of the loss at the norm's output, then through the norm
      local dz = r * (g - mean(g, V) - n * mean(g * n, V))
      local W = s.W - eta * k * dz
      return q + layernorm(dot(W, qk, K), V, nil, c.eps), { W = W }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.W:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 4, H = 2, K = 3, V = 3 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, eta = { random = 4, 0, 1 }, initial_state = { random = 5 } },
      expect = function(x)                              -- the gradient by differences of the loss
        local n, W = x.size.V, nil
        local function norm(z)
          local m = total(n, function(i) return z(i) end) / n
          local s = total(n, function(i) return (z(i) - m) ^ 2 end) / n + 1e-6
          return function(i) return (z(i) - m) * s ^ -0.5 end
        end
        local gradient = memo(function(t, h, d)
          local function loss(by)
            local y = norm(function(i)
              return total(x.size.K, function(k) return W(t - 1, h, k, i) * x.k(0, t, h, k) end) + (i == d and by or 0)
            end)
            return total(n, function(i) return (y(i) - x.v(0, t, h, i)) ^ 2 end) / 2
          end
          local e = 1e-4
          return (8 * (loss(e) - loss(-e)) - (loss(2 * e) - loss(-2 * e))) / (12 * e)
        end)
        W = memo(function(t, h, k, d)
          return t < 0 and x.initial_state(0, h, k, d) or W(t - 1, h, k, d) - x.eta(0, t, h) * x.k(0, t, h, k) * gradient(t, h, d)
        end)
        return { o = function(_, t, h, d)
          local y = norm(function(i) return total(x.size.K, function(k) return W(t, h, k, i) * x.q(0, t, h, k) end) end)
          return x.q(0, t, h, d) + y(d)
        end }
      end,
    },
  },
}
