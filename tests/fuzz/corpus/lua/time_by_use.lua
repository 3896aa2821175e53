-- The axis of time need not be called T: here it is L, found when it is scanned, after its size could have been asked for.
local L, D = axes "L D"
return model {
  build = function()
    local x = input("x", { L, D })
    local scaled = x * size(D)
    local o, last = scan(L, { S = zeros { D } }, function(s)
      local S = 0.5 * s.S + scaled
      return S, { S = S }
    end)
    return { o = o, last = last.S, at = pos(L) }
  end,
  tests = {
    small = {
      sizes = { L = 3, D = 2 },
      inputs = { x = { 1, 2, 3, 4, 5, 6 } },
      expect = { o = { 2, 4, 7, 10, 13.5, 17 }, last = { 13.5, 17 }, at = { 0, 1, 2 } },
    },
  },
}
