-- A mistake deep in a library layer is reported at the line of the model, with its scope.
local T, D, E = axis "T", axis("D", 4), axis("E", 6)
return model {
  build = function()
    local x = input("x", { T, D })
    for i = 0, 1 do
      scope("layers", i, function()
        scope("mix", function()
          x = i == 1 and linear(x, E, D, "o") or x --! dot over E: a tensor (D,E) has it, x (T,D) does not (in layers[1].mix)
        end)
      end)
    end
    return { x = x }
  end,
}
