local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x = input("x", { T, D })
    return { o = scan(T, { S = zeros { D }, n = 0 }, function(s) return s.S, { S = s.S + x } end) } --! the body does not give the next value of state n
  end,
}
