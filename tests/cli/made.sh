#!/bin/bash
# Weights that the build makes from others: what is said of them, what they do to programs, and numbers that are none.
. "$(dirname "$0")/lib.sh"
# floats FILE NAME N WORD..: a safetensors file of one f32 [N] tensor, its numbers as words of 32 bits
floats() {
    local file=$1 head w
    head="{\"$2\":{\"dtype\":\"F32\",\"shape\":[$3],\"data_offsets\":[0,$((4 * $3))]}}"
    shift 3
    { le 8 ${#head}; printf %s "$head"; for w; do le 4 "$w"; done; } >"$file"
}
describe() { printf 'local T, D = axis "T", axis("D", 2)\nreturn model { build = function()\n  local x, w = input("x", { T, D }), weight("w", { D })\n  return { y = (%s):as { T, D } }\nend }\n' "$1" >"$work/in/m.lua"; }

# models of ours, and one with everything
expect 0 '^[1-9][0-9]+ passed, 0 failed' "$neap" check "$root/tests/lua/made.lua"
expect 0 'made: .*made.lua:10: \$W.div f32\[4,4\] is made when the model is built, from \$W, \$gain: mul, reduce, sqrt, div' "$neap" explain "$root/tests/lua/made.lua"
expect 0 'made: .*mamba.lua:32: .*A_log.neg f32\[64,16\] is made .* from \$backbone.layers.0.mixer.A_log: exp, neg .*1 more like it' "$neap" explain mamba
expect 0 'made: .*s4d.lua:11: .*log_A_real.mul f32\[128,32\] is made .*, and 3 more like it' "$neap" explain s4d
expect 0 '^[1-9][0-9]+ passed, 0 failed' "$neap" check mamba
expect 0 '^[1-9][0-9]+ passed, 0 failed' "$neap" check s4d

# what is made is in the program, what it was made from is not
floats "$work/in/w.safetensors" w 2 0 0x3f800000
describe 'x * exp(-exp(w))'
expect 0 '' "$neap" build "$work/in/m.lua" --weights "$work/in/w.safetensors" --emit c -o m.c
expect 0 'w_w_exp\[2\] = ' cat m.c
expect 0 '0\.36787945f, 0\.065988034f' cat m.c
expect 1 '' grep -E 'w_w\[2\]' m.c
describe 'x * exp(-exp(w)) + w'
expect 0 '' "$neap" build "$work/in/m.lua" --weights "$work/in/w.safetensors" --emit c -o m.c
expect 0 'w_w_exp\[2\] = ' cat m.c
expect 0 'w_w\[2\] = ' cat m.c
leaves m.c

# numbers that are none: the line that makes them, once; what a stored weight holds was said before
floats "$work/in/w.safetensors" w 2 0x43fa0000 0
describe 'x * exp(w)'
expect 0 'm.lua:4: warning: weight w.exp, which is made when the model is built, holds inf; 1 of its 2 numbers' "$neap" build "$work/in/m.lua" --weights "$work/in/w.safetensors" --emit so -o m.so
leaves m.so
floats "$work/in/w.safetensors" w 2 0x7fc00000 0
expect 0 'tensor w \(weight w\) holds nan at \[0\]' "$neap" build "$work/in/m.lua" --weights "$work/in/w.safetensors" --emit c -o m.c
leaves m.c

# what would be too large stays as it is: its factors are made, it is not
cat >"$work/in/m.lua" <<'END'
local T, D, E = axis "T", axis("D", 2000), axis("E", 2000)
return model { build = function()
  local x = input("x", { T, D })
  return { y = dot(x, exp(weight("u", { D })) * tanh(weight("v", { E })), D):as { T, E } }
end }
END
"$neap" explain "$work/in/m.lua" >"$work/explained" 2>&1
expect 0 '\$u.exp f32\[2000\] is made' cat "$work/explained"
expect 0 '\$v.tanh f32\[2000\] is made' cat "$work/explained"
expect 1 '' grep 'f32\[2000,2000\] is made' "$work/explained"
finish
