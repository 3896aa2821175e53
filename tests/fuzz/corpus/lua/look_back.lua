-- shift and window, with and without what stands before; sums along time; sizes of time as numbers.
local T, D, W, P = axis "T", axis("D", 2), axis("W", 3), axis("P", 2)
return model {
  build = function()
    local x, past = input("x", { T, D }), input("past", { P, D })
    return {
      shifted = shift(x, T, 1), shifted_past = shift(x, T, 2, past),
      taps = window(x, T, W):as { T, D, W }, taps_past = window(x, T, W, past):as { T, D, W },
      run = cumsum(x, T), rest = cumsum_back(x, T),
      mean = mean(x, T), last = x:at(T, size(T) - 1), mixed = token_shift(x, T, 0.25),
    }
  end,
  tests = {
    small = {
      sizes = { T = 4 },
      inputs = { x = { 1, 2, 3, 4, 5, 6, 7, 8 }, past = { -3, -4, -1, -2 } },
      expect = function(x)
        local function at(t, d, past)
          if t >= 0 then return x.x(t, d) end
          return past and x.past(t + 2, d) or 0
        end
        return {
          shifted = { 0, 0, 1, 2, 3, 4, 5, 6 }, shifted_past = { -3, -4, -1, -2, 1, 2, 3, 4 },
          taps = function(t, d, w) return at(t - 2 + w, d) end,
          taps_past = function(t, d, w) return at(t - 2 + w, d, true) end,
          run = { 1, 2, 4, 6, 9, 12, 16, 20 }, rest = { 16, 20, 15, 18, 12, 14, 7, 8 },
          mean = { 4, 5 }, last = { 7, 8 }, mixed = { 0.75, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5 },
        }
      end,
    },
  },
}
