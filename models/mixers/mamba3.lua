-- The scan of Mamba-3. Lahoti et al. 2026, "Mamba-3", eq. 4 to 6: the trapezoid rule writes the current and the last step, B and C turn by
-- an angle that runs on.
--   a = exp(A d),  S_t = a_t S_{t-1} + (1 - lam_t) d_t a_t B_{t-1} x_{t-1}' + lam_t d_t B_t x_t',  o_t = S_t' C_t + D x_t
local B, T, H, P, N, R, M = axes "B T H P N R M"

return model {
  build = function()
    local x, dt, A = input("x", { B, T, H, P }), input("dt", { B, T, H }), input("A", { B, T, H })
    local lam, D = input("lam", { B, T, H }), input("D", { H })
    local theta = cumsum(input("angle", { B, T, H, M }) * dt, T)           -- a pair of channels for each of M angles
    axis("R", 2)
    local function turn(y)
      local u, v = y:at(R, 0), y:at(R, 1)
      return stack(R, { u * cos(theta) - v * sin(theta), v * cos(theta) + u * sin(theta) }):merge({ R, M }, N)
    end
    local k, q = turn(input("B", { B, T, R, M })), turn(input("C", { B, T, R, M }))
    local a, k1, x1 = exp(A * dt), shift(k, T, 1), shift(x, T, 1)
    local y = scan(T, { S = zeros { B, H, N, P } }, function(s)
      local S = a * s.S + (1 - lam) * dt * a * k1 * x1 + lam * dt * k * x
      return dot(q, S, N), { S = S }
    end)
    return { o = (y + D * x):as { B, T, H, P } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, P = 2, R = 2, M = 2 },
      inputs = {
        x = { random = 1 }, dt = { random = 2, 0, 1 }, A = { random = 3, -2, 0 }, lam = { random = 4, 0, 1 }, angle = { random = 5 },
        B = { random = 6 }, C = { random = 7 }, D = { random = 8 },
      },
      expect = function(x)                              -- as masked attention; turned B and C see the difference of their angles
        local function sum(i, j, f) return total(j - i, function(l) return f(i + 1 + l) end) end
        local function score(t, i, h)
          return total(2, function(m)
            local a = sum(i, t, function(s) return x.angle(0, s, h, m) * x.dt(0, s, h) end)
            local c0, c1, b0, b1 = x.C(0, t, 0, m), x.C(0, t, 1, m), x.B(0, i, 0, m), x.B(0, i, 1, m)
            return math.cos(a) * (c0 * b0 + c1 * b1) + math.sin(a) * (c0 * b1 - c1 * b0)
          end)
        end
        local function coefficient(t, i, h)
          local now = x.lam(0, i, h) * x.dt(0, i, h)
          if i < t then now = now + (1 - x.lam(0, i + 1, h)) * x.dt(0, i + 1, h) end
          return now * math.exp(sum(i, t, function(s) return x.A(0, s, h) * x.dt(0, s, h) end))
        end
        return { o = function(_, t, h, p)
          return x.D(h) * x.x(0, t, h, p) + total(t + 1, function(i) return coefficient(t, i, h) * score(t, i, h) * x.x(0, i, h, p) end)
        end }
      end,
    },
  },
}
