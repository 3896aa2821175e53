return model {
  build = function()
    local s = ("x"):rep(1e7)
    for i = 1, 100 do s = s .. s end --! MiB of memory
  end,
}
