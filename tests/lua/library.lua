-- require finds files beside the model and the standard library; each file has globals of its own.
local beside = require "layers_beside"
local neap = require "neap"
helper = 3
return model {
  build = function()
    local x = input("x", { axis "T" })
    local y = given "y" and input("y", { axis "T" }) or 10
    return { o = beside.double(x) + neap.relu(-x) + helper + y, both = input("z", { axis "T" }, 5) + y }
  end,
  tests = {
    without = { sizes = { T = 2 }, inputs = { x = { 1, -1 } }, expect = { o = { 15, 12 }, both = { 15, 15 } } },
    with = { sizes = { T = 2 }, inputs = { x = { 1, -1 }, y = { 1, 2 }, z = iota }, expect = { o = { 6, 4 }, both = { 1, 3 } } },
  },
}
