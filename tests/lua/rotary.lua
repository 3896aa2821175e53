-- rope: both pairings, a rotated width, and the scalings, against complex numbers written out.
local T, K = axis "T", axis("K", 8)
local kinds = {
  linear = { kind = "linear", factor = 4 },
  ntk = { kind = "ntk", factor = 4 },
  llama3 = { kind = "llama3", factor = 8, low = 1, high = 4, original = 32 },
  yarn = { kind = "yarn", factor = 4, original = 64 },
}
return model {
  build = function()
    local x, out = input("x", { T, K }), {}
    for name, scaling in pairs(kinds) do out[name] = rope(x, T, K, 100, { scaling = scaling }):as { T, K } end
    out.half = rope(x, T, K, 100):as { T, K }
    out.interleaved = rope(x, T, K, 100, { interleaved = true }):as { T, K }
    out.narrow = rope(x, T, K, 100, { width = 4 }):as { T, K }
    return out
  end,
  tests = {
    small = {
      sizes = { T = 9 },
      inputs = { x = { random = 1 } },
      expect = function(x)
        local function rotated(freq, n, interleaved)
          return function(t, k)
            if k >= n then return x.x(t, k) end
            local i = interleaved and k // 2 or k % (n // 2)
            local first = interleaved and k % 2 == 0 or not interleaved and k < n // 2
            local a, b = x.x(t, interleaved and 2 * i or i), x.x(t, interleaved and 2 * i + 1 or i + n // 2)
            local angle = t * freq(i, n)
            if first then return a * math.cos(angle) - b * math.sin(angle) end
            return b * math.cos(angle) + a * math.sin(angle)
          end
        end
        local function plain(i, n) return 100 ^ (-2 * i / n) end
        return {
          half = rotated(plain, 8), interleaved = rotated(plain, 8, true), narrow = rotated(plain, 4),
          linear = rotated(function(i) return plain(i, 8) / 4 end, 8),
          ntk = rotated(function(i) return (100 * 4 ^ (8 / 6)) ^ (-i / 4) end, 8),
          -- wavelengths 6.3, 19.9, 62.8, 199; those over 32 are stretched 8 times, those under 8 not, 19.9 is between
          llama3 = rotated(function(i)
            local f = plain(i, 8)
            if i == 0 then return f end
            if i > 1 then return f / 8 end
            local s = (32 / (2 * math.pi / f) - 1) / 3
            return (1 - s) * f / 8 + s * f
          end, 8),
          -- what is stretched also grows by 0.1 ln 4 + 1; 64 / (2 pi 32) turns: pair 0 and below is kept; 1 turn: 4 ln(64 / 2 pi) / ln 100 = 2.02, so pair 3 and above is stretched 4 times
          yarn = function(t, k)
            return (0.1 * math.log(4) + 1) * rotated(function(i)
              local slow = math.min(i / 3, 1)
              return plain(i, 8) * (slow / 4 + 1 - slow)
            end, 8)(t, k)
          end,
        }
      end,
    },
  },
}
