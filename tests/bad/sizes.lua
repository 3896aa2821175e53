-- Two sizes for one axis: both places are named.
local K = axis("K", 64)
return model {
  build = function()
    local K = axis("K", 32) --! axis K: its size is 64 in axis (
    return { o = input("q", { axis "T", K }) }
  end,
}
