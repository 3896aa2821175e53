-- The next state must have the axes of the first.
local T, D, E = axis "T", axis("D", 4), axis("E", 3)
return model {
  build = function()
    local x, y = input("x", { T, D }), input("y", { T, E })
    local o = scan(T, { S = zeros { D } }, function(s) --! scan: state S is over (D), its next value over (D,E)
      return s.S, { S = s.S + x * y }
    end)
    return { o = o }
  end,
}
