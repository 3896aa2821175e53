-- pcall would catch the end of the budget
pcall(function() end) --! attempt to call a nil value (global 'pcall')
return model { build = function() return {} end }
