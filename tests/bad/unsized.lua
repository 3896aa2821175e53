-- An axis that nothing gives a size: one message for each, and how to give it.
local T, H, K = axes "T H K"
return model {
  build = function()
    local q = input("q", { T, H, K }) --! the size of axis H is not known; give it with axis("H", size) or --set size.H=.. --! the size of axis K is not known
    local k = input("k", { T, H, K })
    return { o = dot(q, k, K) * size(K) ^ -0.5 }
  end,
}
