local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    return { o = weight("w", { D, D }) } --! axis D appears twice in one tensor
  end,
}
