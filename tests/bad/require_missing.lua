local m = require "nothing_here" --! nothing_here.lua
return model { build = function() return {} end }
