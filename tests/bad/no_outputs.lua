return model { build = function() return {} end } --!! build returns 0 outputs
