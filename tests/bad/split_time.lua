local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x = input("x", { T, D })
    return { o = x:split(T, { axis("group", 4), axis "in" }) } --! time (axis T) is never split by hand
  end,
}
