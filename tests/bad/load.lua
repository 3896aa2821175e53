local f = load("return 1") --! attempt to call a nil value (global 'load')
return model { build = function() return {} end }
