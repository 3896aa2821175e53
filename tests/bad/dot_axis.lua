-- The message names the axis, both operands and their axes.
local T, H, K, V = axis "T", axis("H", 2), axis("K", 64), axis("V", 32)
return model {
  build = function()
    local k, S = input("k", { T, H, K }), input("S", { H, V })
    local o = dot(k, S, K) --! dot over K: k (T,H,K) has it, S (H,V) does not
    return { o = o }
  end,
}
