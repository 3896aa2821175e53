local f = io.open("/etc/passwd") --! attempt to index a nil value (global 'io')
return model { build = function() return {} end }
