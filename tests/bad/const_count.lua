local D = axis("D", 4)
return model {
  build = function()
    local a = const({ 1, 2, 3 }, { D }) --! const: 3 numbers for (D), which has 4
    local b = const({ 1, 2, "three", 4 }, { D }) --! a list of numbers is wanted; entry 3 is a string
    return { o = a + b }
  end,
}
