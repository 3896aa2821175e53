-- DeltaFormer. Zhang et al. 2025, "Understanding Transformer from the Perspective of Associative Memory", eq. 16 and 17: a delta rule whose
-- memory keeps a row for each position, read with softmax.
--   u_t = v_t - beta_t (sum over i < t of softmax_i(k_t . k_i) u_i),  o_t = sum over i <= t of softmax_i(q_t . k_i) u_i
local B, T, H, K, V = axes "B T H K V"

return model {
  config = { scale = function() return size(K) ^ -0.5 end },
  build = function(c)
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local beta, J = input("beta", { B, T, H }), T:other()
    local before = where(lt(pos(J), pos(T)), dot(k * c.scale, k:over(T, J), K), -inf)
    local e = exp(before - maximum(max(before, J), -1e30))               -- the first position sees nothing
    local p = e / maximum(sum(e, J), 1e-30)
    local u = scan(T, { U = zeros { B, H, J, V } }, function(s)
      local u = v - beta * dot(p, s.U, J)
      return u, { U = where(eq(pos(J), pos(T)), u, s.U) }
    end)
    local score = where(causal(T, J), dot(q * c.scale, k:over(T, J), K), -inf)
    return { o = dot(softmax(score, J), u:over(T, J), J):as { B, T, H, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, K = 3, V = 2 },
      inputs = { q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, beta = { random = 4, 0, 1 } },
      expect = function(x)
        local K, u = x.size.K, nil
        local function mean(y, t, n, h, d)              -- of u, for the first n positions
          local function e(i) return math.exp(K ^ -0.5 * total(K, function(k) return y(0, t, h, k) * x.k(0, i, h, k) end)) end
          return total(n, function(i) return e(i) * u(i, h, d) end) / total(n, e)
        end
        u = memo(function(t, h, d) return x.v(0, t, h, d) - (t > 0 and x.beta(0, t, h) * mean(x.k, t, t, h, d) or 0) end)
        return { o = function(_, t, h, d) return mean(x.q, t, t + 1, h, d) end }
      end,
    },
  },
}
