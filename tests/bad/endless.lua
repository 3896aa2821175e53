return model {
  build = function()
    local n = 0
    while true do n = n + 1 end --! is there an endless loop?
  end,
}
