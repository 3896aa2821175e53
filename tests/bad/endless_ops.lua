local x = axis("D", 4)
return model {
  build = function()
    local y = iota(x)
    while true do y = y + 1 end --! is there an endless loop?
  end,
}
