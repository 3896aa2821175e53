-- Several independent mistakes are reported in one run; what follows from them is not.
local T, D, E = axis "T", axis("D", 4), axis("E", 6)
return model {
  build = function()
    local x = input("x", { T, D })
    local y = sum(x, E) --! sum: x (T,D) has no axis E
    local z = (x + y):split(D, { axis("a", 3), axis "b" }) + 1
    local w = x:split(D, { axis("a", 3), axis "b" }) --! split: axis D of 4 does not split into (a,b)
    local v = x:over(D, T) --! over: axis T would appear twice in x (T,D)
    return {
      z = z + w * v,
      u = x:as { D }, --! as: axis T of x (T,D) is not in the list (D)
    }
  end,
}
