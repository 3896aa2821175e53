-- Mamba-2. Dao and Gu 2024, eq. 16: one decay per head and step; B and C are shared by groups of heads.
--   d = softplus(dt_t + bias),  S_t = exp(d A_h) S_{t-1} + d x_t B_t',  o_t = S_t C_t [+ D_h x_t]
local B, T, H, V, G, R, K = axes "B T H V G R K"

return model {
  config = { softplus = false },
  build = function(c)
    local Bt, Ct = input("B", { B, T, G, K }), input("C", { B, T, G, K })
    local x, dt = input("x", { B, T, H, V }), input("dt", { B, T, H })
    if given "dt_bias" then dt = dt + input("dt_bias", { H }) end
    if c.softplus then dt = softplus(dt) end
    local xg, dtg = x:split(H, { G, R }), dt:split(H, { G, R })            -- R heads for each group
    local A = input("A", { H }):split(H, { G, R })
    local S0 = input("initial_state", { B, H, V, K }, 0):split(H, { G, R })
    local y, last = scan(T, { S = S0 }, function(s)
      local S = exp(dtg * A) * s.S + dtg * xg * Bt
      return dot(S, Ct, K), { S = S }
    end)
    local o = y:merge({ G, R }, H)
    if given "D" then o = o + input("D", { H }) * x end
    return { o = o:as { B, T, H, V }, final_state = last.S:merge({ G, R }, H):as { B, H, V, K } }
  end,
  tests = {
    small = {
      config = { softplus = true },
      sizes = { B = 2, T = 4, H = 4, V = 2, G = 2, K = 3 },
      inputs = {
        x = { random = 1 }, dt = { random = 2 }, A = { random = 3, -2, 0 }, B = { random = 4 }, C = { random = 5 },
        D = { random = 6 }, dt_bias = { random = 7 }, initial_state = { random = 8 },
      },
      expect = function(x)
        local S
        local function d(b, t, h) return math.log(1 + math.exp(x.dt(b, t, h) + x.dt_bias(h))) end
        S = memo(function(b, t, h, v, k)
          if t < 0 then return x.initial_state(b, h, v, k) end
          return math.exp(d(b, t, h) * x.A(h)) * S(b, t - 1, h, v, k) + d(b, t, h) * x.x(b, t, h, v) * x.B(b, t, h // 2, k)
        end)
        return {
          o = function(b, t, h, v)
            return x.D(h) * x.x(b, t, h, v) + total(x.size.K, function(k) return S(b, t, h, v, k) * x.C(b, t, h // 2, k) end)
          end,
          final_state = function(b, h, v, k) return S(b, x.size.T - 1, h, v, k) end,
        }
      end,
    },
  },
}
