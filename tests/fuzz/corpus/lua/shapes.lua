-- split, merge, slice, at, pad, stack, concat, gather with shared axes, rank, argmax; results keep the order of first appearance.
local B, N, A, C, D = axis("B", 2), axis("N", 6), axis("A", 2), axis("C", 3), axis("D", 4)
local I = axis("I", 3)
return model {
  build = function()
    local x, table, ids = input("x", { B, N }), input("table", { B, N, D }), input("ids", { B, I }, int)
    local y = x:split(N, { A, C })
    return {
      merged = y:merge({ C, A }, axis "CA"):as { B, axis "CA" },
      cut = x:slice(N, 1, 4, D):at(D, 2),
      padded = x:pad(N, 1, 2, axis "padded", 7),
      stacked = stack(axis "two", { x, x * 2 }):as { B, N, axis "two" },
      joined = concat(axis "joined", { x:slice(N, 0, 2, A), A }, { x:slice(N, 3, 3, C), C }),
      picked = gather(table, ids, N):as { B, I, D },
      rank = rank(x, N), argmax = argmax(x, N), top = where(lt(rank(x, N), 2), x, 0),
      order = x:at(B, 0) * (x:at(N, 0) + 1),
    }
  end,
  tests = {
    small = {
      inputs = { x = { 3, 1, 2, 3, 0, 5, -1, 4, 4, 2, 9, 8 }, table = { random = 3 }, ids = { 5, 0, 1, 2, 2, 3 } },
      expect = function(x)
        return {
          merged = { 3, 3, 1, 0, 2, 5, -1, 2, 4, 9, 4, 8 },
          cut = { 3, 2 },
          padded = { 7, 3, 1, 2, 3, 0, 5, 7, 7, 7, -1, 4, 4, 2, 9, 8, 7, 7 },
          stacked = function(b, n, k) return x.x(b, n) * (k + 1) end,
          joined = { 3, 1, 3, 0, 5, -1, 4, 2, 9, 8 },
          picked = function(b, i, d) return x.table(b, x.ids(b, i), d) end,
          rank = { 1, 4, 3, 2, 5, 0, 5, 2, 3, 4, 0, 1 },
          argmax = { 5, 4 },
          top = { 3, 0, 0, 0, 0, 5, 0, 0, 0, 0, 9, 8 },
          order = function(n, b) return x.x(0, n) * (x.x(b, 0) + 1) end,
        }
      end,
    },
  },
}
