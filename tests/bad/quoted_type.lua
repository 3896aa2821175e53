-- A type is a value, not a text.
local T, D = axis "T", axis("D", 4)
return model {
  build = function()
    local x = input("x", { T, D }, "int") --! a type is written without quotes: int, bool, f32, bf16 or f16
    return { x = x }
  end,
}
