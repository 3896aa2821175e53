-- Diagonal plus low rank in general. The transition of S4 (Gu et al. 2021, eq. 5) with all its parts chosen by the token, of any rank R.
--   S_t = diag(d_t) S_{t-1} + sum over r of b_tr (a_tr' S_{t-1}) + k_t v_t',  o_t = S_t' q_t;  d is a factor, of either sign, not a logarithm
local B, T, H, R, K, V = axes "B T H R K V"

return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local d, a, b = input("d", { B, T, H, K }), input("a", { B, T, H, R, K }), input("b", { B, T, H, R, K })
    local o, last = scan(T, { S = input("initial_state", { B, H, K, V }, 0) }, function(s)
      local S = d * s.S + dot(b, dot(a, s.S, K), R) + k * v
      return dot(q, S, K), { S = S }
    end)
    return { o = o:as { B, T, H, V }, final_state = last.S:as { B, H, K, V } }
  end,
  tests = {
    small = {
      sizes = { B = 1, T = 5, H = 2, R = 2, K = 3, V = 2 },
      inputs = {
        q = { random = 1 }, k = { random = 2 }, v = { random = 3 }, d = { random = 4, -1, 1 }, a = { random = 5 }, b = { random = 6 }, initial_state = { random = 7 },
      },
      expect = function(x)                              -- the transition as a full matrix
        local K, R, S = x.size.K, x.size.R, nil
        local function A(t, h, i, j)
          return (i == j and x.d(0, t, h, i) or 0) + total(R, function(r) return x.b(0, t, h, r, i) * x.a(0, t, h, r, j) end)
        end
        S = memo(function(t, h, k, d)
          if t < 0 then return x.initial_state(0, h, k, d) end
          return total(K, function(j) return A(t, h, k, j) * S(t - 1, h, j, d) end) + x.k(0, t, h, k) * x.v(0, t, h, d)
        end)
        return { o = function(_, t, h, d) return total(K, function(k) return x.q(0, t, h, k) * S(t, h, k, d) end) end }
      end,
    },
  },
}
