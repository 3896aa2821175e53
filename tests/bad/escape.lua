-- What was made inside a scan does not leave it but by return.
local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x = input("x", { T, D })
    local kept
    local o = scan(T, { S = zeros { D } }, function(s)
      kept = s.S + x
      return kept, { S = kept }
    end)
    return { o = o + kept } --! a tensor (D) made inside a scan is used outside of it
  end,
}
