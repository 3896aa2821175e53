return model {
  build = function(c)
    local x = = 1 --! unexpected symbol near '='
  end,
}
