#!/bin/bash
# neap explain: which passes over memory there are, and what they move. The numbers are counted by hand here.
. "$(dirname "$0")/lib.sh"

cat >"$work/in/gated.lua" <<'LUA'
return model {
  config = { dim = 4, hidden = 8 },
  build = function(c)
    local T, D, E = axis("T"), axis("D", c.dim), axis("E", c.hidden)
    local x = input("x", { T, D })
    return { y = x + linear(silu(linear(x, D, E, "g")) * linear(x, D, E, "u"), E, D, "o") }
  end,
}
LUA
# the gate is no pass of its own: x [T,4], two weights [8,4] -> [T,8];  [T,8], x [T,4] and a weight [4,8] -> [T,4]
expect 0 '^  2 passes over memory, bytes at T=64$' "$neap" explain "$work/in/gated.lua" --context 64
expect 0 '^  mul +1280 +2048 +48\*T\+256 +.*gated.lua:6: \$g.weight \$u.weight x -> f32\[T,8\]$' "$neap" explain "$work/in/gated.lua" --context 64
expect 0 '^  add +3200 +1024 +64\*T\+128 +.*gated.lua:6: ' "$neap" explain "$work/in/gated.lua" --context 64
expect 0 '^  moved in all +7552 bytes  = 112\*T\+384$' "$neap" explain "$work/in/gated.lua" --context 64
# x and y once, the weights once
expect 0 '^  the least there is +2432 bytes  = 32\*T\+384$' "$neap" explain "$work/in/gated.lua" --context 64
expect 0 '^  ratio +3\.11$' "$neap" explain "$work/in/gated.lua" --context 64

# a row of a table is read for each token, whatever the table holds; never more than the table
cat >"$work/in/lookup.lua" <<'LUA'
return model {
  config = {},
  build = function(c)
    local T, V, D = axis("T"), axis("V", 100), axis("D", 4)
    return { y = gather(weight("table", { V, D }), input("tokens", { T }, int), V) * 2 }
  end,
}
LUA
expect 0 '^  mul +80 +64 +36\*T ' "$neap" explain "$work/in/lookup.lua" --context 4
expect 0 '^  the least there is +144 bytes  = 36\*T$' "$neap" explain "$work/in/lookup.lua" --context 4

# notes of a pass stand together, and what holds of every layer is said once
expect 0 '^  stream: .*gau.lua:[0-9]+: kept between calls: layers.0.S f32\[4,64,64\] \(in layers\[0\]\), and 4 more like it$' "$neap" explain gau
expect 0 '^  +layers.0.now, T times ' "$neap" explain gau --chunk 1

# a page: everything is in one file, nothing is fetched, and what it quotes is quoted
leaves
expect 0 '' "$neap" explain gau --html page.html
expect 0 '^<tr><td><code>layers.0.mul</code><td class="?n"?>' cat page.html
expect 0 '[0-9]+ passes over memory; bytes at T=64: [0-9]+ moved, [0-9]+ at least' cat page.html
expect 1 '' grep -E 'src=|href=|<script|http' page.html
expect 0 '-&gt; f32' cat page.html
leaves page.html
expect 1 'no/such/page.html: error: ' "$neap" explain gau --html no/such/page.html
expect 2 '--html wants a value: FILE' "$neap" explain gau --html
leaves
# the rule of the automatic chunk: small states step by step, large ones in chunks, coefficients that stay as a convolution
of_heads() { # MIXER SIZE: heads of SIZE x SIZE
    "$neap" explain "$root/models/mixers/$1.lua" --set size.B=1 --set size.H=2 --set size.K="$2" --set size.V="$2"
}
for m in simple_gla gla gated_delta_rule; do
    expect 0 'step form \(chunk 1\): blocks would not pay' of_heads $m 64
    expect 0 'in chunks of (16|32) steps' of_heads $m 128
done
s4d="$root/models/mixers/s4d.lua --set size.B=1 --set size.T=512 --set size.D=64 --set size.N"
expect 0 'step form \(chunk 1\): a convolution would not pay' "$neap" explain $s4d=16
expect 0 'a convolution in chunks of 16 steps' "$neap" explain $s4d=64
# rows of a sequence lie one after the other, whichever operand of dot stands first; outputs keep the order of the language
cat >"$work/in/turned.lua" <<'LUA'
return model {
  build = function()
    local T, D, N = axis("T"), axis("D", 4), axis("N", 3)
    return { y = exp(dot(weight("W", { N, D }), input("x", { T, D }), D)) }
  end,
}
LUA
expect 0 "" "$neap" build "$work/in/turned.lua" --emit graph -o turned.np
expect 0 '^  %[a-z0-9.]+ f32\[T,3\] = contract ' cat turned.np
expect 0 '\(y f32\[3,T\]\)' cat turned.np
leaves turned.np
finish
