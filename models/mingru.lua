-- minGRU. Feng et al. 2024, "Were RNNs All We Needed?", section 3.1 and appendix B: a gate and a candidate that see only the input.
--   z = sigmoid(Wz x),  c = g(Wh x),  h_t = (1 - z_t) h_{t-1} + z_t c_t,  g(a) = a + 1/2 if a >= 0, else sigmoid(a): always positive
return decoder {
  config = { expand = 1.5 },
  mixer = function(x, T, D, c)
    local E = axis("E", c.dim * c.expand // 1)
    local z, a = sigmoid(linear(x, D, E, "z_proj")), linear(x, D, E, "h_proj")
    local candidate = where(ge(a, 0), a + 0.5, sigmoid(a))
    local h = scan(T, { h = zeros { E } }, function(s)
      local h = (1 - z) * s.h + z * candidate
      return h, { h = h }
    end)
    return linear(h, E, D, "o_proj")
  end,
  by_hand = function(x, w)
    local z, a, h = plain.linear(x, 4, w "z_proj.weight"), plain.linear(x, 4, w "h_proj.weight"), nil
    h = memo(function(t, e)
      if t < 0 then return 0 end
      local new = a(t, e) >= 0 and a(t, e) + 0.5 or plain.sigmoid(a(t, e))
      return h(t - 1, e) + plain.sigmoid(z(t, e)) * (new - h(t - 1, e))
    end)
    return plain.linear(h, 6, w "o_proj.weight")
  end,
}
