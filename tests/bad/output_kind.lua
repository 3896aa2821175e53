return model { build = function() return { o = "text" } end } --!! output o is a string, not a tensor
