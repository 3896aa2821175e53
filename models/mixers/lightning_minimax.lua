-- Lightning attention as MiniMax-01 has it (2025, section 2.2): slopes of ALiBi, scaled by the depth of the layer.
--   S_t = exp(-s_h) S_{t-1} + k_t v_t',  s_h = 2^(-8(h+1)/H) (1 - layer/(layers - 1 + 1e-5) + 1e-5),  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { layer_idx = 0, num_layers = 2 },
  build = function(c)
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v = input("v", { B, T, H, V })
    local depth = 1 - c.layer_idx / (c.num_layers - 1 + 1e-5) + 1e-5
    local a = exp(-depth * pow(2.0, (iota(H) + 1) * (-8 / size(H))))
    local o, S = gated_scan(q, k, v, a, T, K, input("initial_state", { B, H, K, V }, 0))
    return { o = o:as { B, T, H, V }, final_state = S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 2, T = 5, H = 2, K = 3, V = 2 },
      config = { layer_idx = 1, num_layers = 3 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, initial_state = { random = 4 } },
      expect = function(x)
        local K, H = x.size.K, x.size.H
        local function a(h) return math.exp(-2 ^ (-8 * (h + 1) / H) * (1 - 1 / (2 + 1e-5) + 1e-5)) end
        local function o(b, t, h, d)
          return total(K, function(k)
            local first = a(h) ^ (t + 1) * x.initial_state(b, h, k, d)
            return x.q(b, t, h, k) * total(t + 1, function(i) return a(h) ^ (t - i) * x.k(b, i, h, k) * x.v(b, i, h, d) end) + x.q(b, t, h, k) * first
          end)
        end
        return { o = function(b, t, h, d) return o(b, t, h, d) end }
      end,
    },
  },
}
