local T = axis "T"
return model {
  config = { layers = 2 },
  build = function(c)
    local x = input("x", { T })
    for i = 1, c.layer or 1 do x = x + 1 end --! the config has no key layer; did you mean layers?
    return { o = x }
  end,
}
