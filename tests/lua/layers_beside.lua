-- Not a model: a file that library.lua requires.
local M = {}
function M.double(x) return x + x end
return M
