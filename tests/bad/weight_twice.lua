local D, E = axis("D", 4), axis("E", 3)
return model {
  build = function()
    local a = weight("w", { D, E })
    local b = weight("w", { E, D }) --! weight w is
    return { o = dot(a, b, D, E) }
  end,
}
