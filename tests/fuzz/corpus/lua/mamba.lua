-- Mamba's selective scan. Gu and Dao 2023, eq. 2 and 4: every entry of the state has its own decay.
--   d = softplus(dt + bias),  h_t = exp(d A) h_{t-1} + d x_t B_t',  o_t = h_t C_t [+ D x_t] [* silu(z_t)]
local B, T, D, N = axes "B T D N"

return model {
  config = { softplus = false },
  build = function(c)
    local x, dt, A = input("x", { B, T, D }), input("dt", { B, T, D }), input("A", { D, N })
    local Bt, Ct = input("B", { B, T, N }), input("C", { B, T, N })
    local h0 = input("initial_state", { B, D, N }, 0)
    if given "dt_bias" then dt = dt + input("dt_bias", { D }) end
    if c.softplus then dt = softplus(dt) end
    local y, last = scan(T, { h = h0 }, function(s)
      local h = exp(dt * A) * s.h + dt * x * Bt
      return dot(h, Ct, N), { h = h }
    end)
    if given "D" then y = y + input("D", { D }) * x end
    if given "z" then y = y * silu(input("z", { B, T, D })) end
    return { o = y:as { B, T, D }, final_state = last.h:as { B, D, N } }
  end,
  tests = {
    small = {
      config = { softplus = true },
      sizes = { B = 1, T = 4, D = 2, N = 3 },
      inputs = { x = { random = 1 }, dt = { random = 2 }, A = { random = 3, -2, 0 }, B = { random = 4 }, C = { random = 5 }, D = { random = 6 }, z = { random = 7 } },
      expect = function(x)
        local function d(b, t, i) return math.log(1 + math.exp(x.dt(b, t, i))) end
        return { o = function(b, t, i)
          local y = x.D(i) * x.x(b, t, i)
          for n = 0, x.size.N - 1 do
            for j = 0, t do
              local decay = 0
              for l = j + 1, t do decay = decay + d(b, l, i) * x.A(i, n) end
              y = y + x.C(b, t, n) * math.exp(decay) * d(b, j, i) * x.x(b, j, i) * x.B(b, j, n)
            end
          end
          local z = x.z(b, t, i)
          return y * z / (1 + math.exp(-z))
        end }
      end,
    },
  },
}
