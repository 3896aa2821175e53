-- Alignment by axis, literals, integers beside floats.
local A, B = axes "A B"
return model {
  build = function()
    local x, y = input("x", { A }), input("y", { B })
    return {
      outer = x * y,
      counted = (iota(A) + 1) * y,
      mixed = where(lt(x, y), x, 2 * y) ^ 2,
      ints = (iota(A) * 5 + 3) % 4 + (iota(A) // 2),
    }
  end,
  tests = {
    small = {
      sizes = { A = 3, B = 2 },
      inputs = { x = { 1, -2, 3 }, y = { 0.5, 4 } },
      expect = {
        outer = { 0.5, 4, -1, -8, 1.5, 12 },
        counted = { 0.5, 4, 1, 8, 1.5, 12 },
        mixed = { 1, 1, 4, 4, 1, 9 },
        ints = { 3, 0, 2 },
      },
    },
  },
}
