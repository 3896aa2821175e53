local T = axis "T"
return model {
  build = function()
    local x = input("x", { T })
    return { o = sillu(x) } --! attempt to call a nil value (global 'sillu'); did you mean silu?
  end,
}
