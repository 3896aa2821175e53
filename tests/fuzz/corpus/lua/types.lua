-- bool is no number, a float is no index, < is no op.
local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x, i = input("x", { T, D }), input("i", { T }, int)
    local m = lt(x, 0)
    local a = m * x --! * wants two of a kind; m (T,D) is bool: write f32(x) or where(x, 1, 0)
    local b = gather(x, x:at(D, 0), D) --! are f32; write int(x)
    local c = where(x, 1, 0) --! where wants a bool first; x (T,D) is f32
    local d = x & m --! & wants two of a kind
    local e = sum(m, D) --! sum wants numbers; m (T,D) is bool
    return { o = a + b + c + d + e + (x < 1) } --! Lua makes a boolean of < and <=
  end,
}
