-- The delta rule with a gate that erases apart from the gate that writes, each for every channel ("Gated DeltaNet-2").
--   R = diag(exp(g_t)) S_{t-1},  S_t = R + k_t (w_t * v_t - R' (e_t * k_t))',  o_t = S_t' q_t
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g, erase, write = input("g", { B, T, H, K }), input("erase", { B, T, H, K }), input("write", { B, T, H, V })
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local R = exp(g) * s.S
      local S = R + k * (write * v - dot(R, erase * k, K))
      return dot(q * c.scale, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, g = { random = 4, -2, 0 }, erase = { random = 5, 0, 1 }, write = { random = 6, 0, 1 },
      },
      expect = function(x)
        local n, S = x.size.K, nil
        local function kept(t, h, k, d) return math.exp(x.g(0, t, h, k)) * S(t - 1, h, k, d) end
        local erased = memo(function(t, h, d) return total(n, function(k) return kept(t, h, k, d) * x.erase(0, t, h, k) * x.k(0, t, h, k) end) end)
        S = memo(function(t, h, k, d)
          if t < 0 then return 0 end
          return kept(t, h, k, d) + x.k(0, t, h, k) * (x.write(0, t, h, d) * x.v(0, t, h, d) - erased(t, h, d))
        end)
        return { o = function(_, t, h, d) return n ^ -0.5 * total(n, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end }
      end,
    },
  },
}
