-- Every small function of the library and every elementwise op against Lua's arithmetic.
local D = axis("D", 7)
return model {
  build = function()
    local x, i = input("x", { D }), input("i", { D }, int)
    return {
      relu = relu(x), relu2 = relu2(x), silu = silu(x), logsigmoid = logsigmoid(x), gelu_tanh = gelu_tanh(x), quick = gelu_quick(x),
      elu1 = elu1(x), clamp = clamp(x, -1, 0.5), softplus = softplus(x), sigmoid = sigmoid(x), tanh = tanh(x), sqrt = sqrt(abs(x)),
      recip = recip(x + 10), log1p = log1p(abs(x)), pow = pow(abs(x), 1.5), cube = x ^ 3, halves = abs(x) ^ -0.5, floor = floor(x),
      mod = x % 2, idiv = x // 2, maximum = maximum(x, 1), minimum = minimum(1, x), softmax = softmax(x, D), lse = logsumexp(x, D),
      mean = mean(x, D), norm2 = norm2(x, D), rms = rms(x, D, 0.5), ln = layernorm(x, D, nil, 0.5),
      bits = (i << 2 | 1) ~ (i >> 1) & 3, neg = -x - ~i, logic = where((lt(x, 0) | gt(x, 1)) & ~eq(i, 2), 1, 0),
      cast = int(x * 2), ge = f32(ge(x, 0)) + f32(le(x, 0)) + f32(ne(x, 0)),
    }
  end,
  tests = {
    small = {
      inputs = { x = { -3, -1.5, -0.25, 0.125, 0.75, 1.5, 4 }, i = { 0, 1, 2, 3, 4, 5, 6 } },
      expect = function(a)
        local out = {}
        local function each(name, f) out[name] = function(d) return f(a.x(d), a.i(d)) end end
        local exp, sum = math.exp, { e = 0, x = 0, xx = 0 }
        for d = 0, 6 do
          local v = a.x(d)
          sum = { e = sum.e + exp(v), x = sum.x + v, xx = sum.xx + v * v }
        end
        local m = sum.x / 7
        local var = sum.xx / 7 - m * m
        local function tanh(z) return 1 - 2 / (exp(2 * z) + 1) end
        each("relu", function(x) return math.max(x, 0) end)
        each("relu2", function(x) return math.max(x, 0) ^ 2 end)
        each("silu", function(x) return x / (1 + exp(-x)) end)
        each("logsigmoid", function(x) return -math.log(1 + exp(-x)) end)
        each("gelu_tanh", function(x) return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x ^ 3))) end)
        each("quick", function(x) return x / (1 + exp(-1.702 * x)) end)
        each("elu1", function(x) return x > 0 and x + 1 or exp(x) end)
        each("clamp", function(x) return math.min(math.max(x, -1), 0.5) end)
        each("softplus", function(x) return math.log(1 + exp(x)) end)
        each("sigmoid", function(x) return 1 / (1 + exp(-x)) end)
        each("tanh", tanh)
        each("sqrt", function(x) return math.abs(x) ^ 0.5 end)
        each("recip", function(x) return 1 / (x + 10) end)
        each("log1p", function(x) return math.log(1 + math.abs(x)) end)
        each("pow", function(x) return math.abs(x) ^ 1.5 end)
        each("cube", function(x) return x * x * x end)
        each("halves", function(x) return 1 / math.abs(x) ^ 0.5 end)
        each("floor", function(x) return math.floor(x) end)
        each("mod", function(x) return x % 2 end)
        each("idiv", function(x) return x // 2 end)
        each("maximum", function(x) return math.max(x, 1) end)
        each("minimum", function(x) return math.min(x, 1) end)
        each("softmax", function(x) return exp(x) / sum.e end)
        each("norm2", function(x) return x / sum.xx ^ 0.5 end)
        each("rms", function(x) return x / (sum.xx / 7 + 0.5) ^ 0.5 end)
        each("ln", function(x) return (x - m) / (var + 0.5) ^ 0.5 end)
        each("bits", function(_, i) return (i << 2 | 1) ~ (i >> 1) & 3 end)
        each("neg", function(x, i) return -x + i + 1 end)
        each("logic", function(x, i) return (x < 0 or x > 1) and i ~= 2 and 1 or 0 end)
        each("cast", function(x) return x < 0 and math.ceil(x * 2) or math.floor(x * 2) end)
        each("ge", function() return 2 end)
        out.lse, out.mean = { math.log(sum.e) }, { m }
        return out
      end,
    },
  },
}
