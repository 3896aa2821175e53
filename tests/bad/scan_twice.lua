local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x = input("x", { T, D })
    local o = scan(T, { S = zeros { D } }, function(s)
      local inner = scan(T, { r = zeros { D } }, function(r) return r.r, { r = r.r + x } end) --! a scan over it is open already
      return inner, { S = s.S }
    end)
    return { o = o }
  end,
}
