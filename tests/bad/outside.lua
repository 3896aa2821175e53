-- Tensors outside of build: no function is there that they could be part of.
local T = axis "T"
local x = input("x", { T }) --! tensors are made by the model's build function while it runs, nowhere else
return model { build = function() return { x = x } end }
