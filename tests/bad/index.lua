local T, D, E = axis "T", axis("D", 4), axis("E", 3)
return model {
  build = function()
    local x = input("x", { T, D })
    local y = x:at(D, 4) --! at: index 4 is not in axis D, which has 4
    local z = x:slice(D, 2, 3, E) --! slice: 3 values from index 2 leave axis D, which has 4
    return { o = y + z }
  end,
}
