#!/bin/bash
# Files that are wrong on purpose, as a user meets them: weights that are damaged, of another shape, missing or too many;
# a llama2.c file whose header lies; descriptions that never end, take all memory, look at files, or do not fit. One
# message with its place each, exit status 1, and nothing half written.
. "$(dirname "$0")/lib.sh"

# st FILE HEADER BYTES: a safetensors file with that header before that many bytes of data
st() {
    { le 8 ${#2}; printf %s "$2"; head -c "$3" /dev/zero; } >"$1"
}
entry() { printf '"%s":{"dtype":"%s","shape":[%s],"data_offsets":[%s]}' "$@"; }
cat >m.lua <<'END'
local T, D, E = axis "T", axis("D", 4), axis("E", 3)
return model {
  build = function()
    local x = input("x", { T, D })
    return { y = sum(linear(x, D, E, "proj"), E) + sum(x * weight("scale", { D }), D) }
  end,
}
END
st in.safetensors "{$(entry x F32 2,4 0,32)}" 32
good_proj=$(entry proj.weight F32 3,4 0,48)
weights() { st w.safetensors "{$1}" "$2"; }
refused() { expect 1 "$1" "$neap" eval m.lua --in in.safetensors --weights w.safetensors -o out.safetensors --via interp; }

weights "$good_proj,$(entry scale F32 4 48,64)" 64
expect 0 '^y' "$neap" eval m.lua --in in.safetensors --weights w.safetensors --via interp
# what is missing, misshapen, too much: several in one run
weights "$good_proj" 48
refused 'm.lua:5: error: weight scale is not in w.safetensors'
weights "$(entry proj.weight F32 4,3 0,48),$(entry scale F32 5 48,68)" 68
refused 'm.lua:5: error: weight proj.weight is \[3,4\] in the model and \[4,3\] in w.safetensors'
refused 'm.lua:5: error: weight scale is \[4\] in the model and \[5\] in w.safetensors'
weights "$good_proj,$(entry scale F32 4 48,64),$(entry spare F32 2 64,72)" 72
expect 0 'w.safetensors: warning: 1 tensor is not used by the model: spare' "$neap" eval m.lua --in in.safetensors --weights w.safetensors --via interp
{ le 8 160; printf '%-160s' "{$good_proj,$(entry scale F32 4 48,64)}"; head -c 48 /dev/zero; printf '\0\0\300\177\0\0\0\0\0\0\0\0\0\0\0\0'; } >w.safetensors
expect 0 'warning: tensor scale .*holds nan at \[0\]; 1 of its 4 numbers are not finite' "$neap" eval m.lua --in in.safetensors --weights w.safetensors --via interp

# headers that lie
lies() { # PATTERN HEADER BYTES
    st w.safetensors "$2" "$3"
    refused "w.safetensors: error: $1"
}
lies '.*' "{$(entry proj.weight F32 3,4 0,48),$(entry scale F32 4 40,56)}" 64                     # they overlap
lies '.*' "{$(entry proj.weight F32 3,4 0,48),$(entry scale F32 4 48,1152921504606846976)}" 64    # 2^60
lies '.*' "{$(entry proj.weight F32 1152921504606846976,16 0,48),$(entry scale F32 4 48,64)}" 64  # the product wraps to 0
lies '.*' "{$(entry proj.weight F32 -4,-3 0,48),$(entry scale F32 4 48,64)}" 64
lies '.*' "{$(entry proj.weight F32 3,4 48,0),$(entry scale F32 4 48,64)}" 64                     # ends before it begins
lies '.*' "{$(entry proj.weight Q9 4,3 0,48),$(entry scale F32 4 48,64)}" 64
lies '.*' "{$good_proj" 64                                                                 # JSON that breaks off
lies '.*' "[]" 64
{ le 8 9223372036854775807; head -c 64 /dev/zero; } >w.safetensors
refused 'w.safetensors: error: '
{ le 8 100000001; head -c 64 /dev/zero; } >w.safetensors
refused 'w.safetensors: error: '
head -c 7 /dev/zero >w.safetensors
refused 'w.safetensors: error: '

# llama2.c: dim, hidden, layers, heads, kv heads, vocabulary, positions
llama2c() { { for v; do le 4 "$v"; done; head -c 1000 /dev/zero; } >bad.bin; }
for header in "8 8 1 2 2 16 8" "-8 8 1 2 2 16 8" "8 8 -1 2 2 16 8" "0 0 0 0 0 0 0" "2147483647 2147483647 2147483647 1 1 2147483647 2147483647" \
    "8 8 1 0 2 16 8" "8 8 1 3 2 16 8" "8 8 1 2 2 16 -2147483648"; do
    # shellcheck disable=SC2086
    llama2c $header
    expect 1 'bad.bin: error: ' "$neap" build llama --weights bad.bin -o out
done

# ggmf: version, vocabulary, width, layers, element type, then a tensor: axes, bytes of its name, element type, sizes
for words in "101 16 8 1 0" "99 16 8 1 0 1 1 0 2" "101 0 8 1 0 1 1 0 2" "101 16 4294967295 1 0 1 1 0 2" "101 16 8 1 9 1 1 0 2" "101 16 8 1 0 0 1 0" \
    "101 16 8 1 0 4294967295 1 0 2" "101 16 8 1 0 1 4294967295 0 2" "101 16 8 1 0 1 1 1000 2" "101 16 8 1 0 8 1 0 2147483647 2147483647 2147483647 2147483647" \
    "101 16 8 1 0 1 1 0 0" "101 16 8 1 0 1 1 0 4294967295"; do
    { le 4 $((0x67676d66)); for v in $words; do le 4 "$v"; done; printf 'v1234567'; } >bad.bin
    expect 1 'bad.bin: error: ' "$neap" build rwkv4 --weights bad.bin -o out
done
rm bad.bin

# descriptions
describe() { # LINE: the body of build
    printf 'local T, D = axis "T", axis("D", 4)\nreturn model {\n  build = function()\n    local x = input("x", { T, D })\n    %s\n    return { y = x }\n  end,\n}\n' "$1" >bad.lua
}
wrong() { # PATTERN LINE
    describe "$2"
    for command in "eval bad.lua --in in.safetensors -o out.safetensors" "build bad.lua -o out"; do
        # shellcheck disable=SC2086
        expect 1 "bad.lua:5: error: .*$1" timeout 60 "$neap" $command
    done
}
wrong 'is there an endless loop' 'while true do end'
wrong 'MiB of memory' 'local t = {} for i = 1, 1e9 do t[i] = { i } end'
wrong 'MiB of memory' 'local s = "x" while true do s = s .. s end'
wrong "nil value \(global 'io'\)" 'io.open("/etc/passwd")'
wrong "nil value \(global 'os'\)" 'os.execute("true")'
wrong 'nil value' 'debug.getinfo(1)'
wrong 'nil value' 'load("return 1")()'
wrong 'x \(T,D\)' 'x = x + sum(x, axis("E", 3))'
wrong "unexpected symbol|expected|near" 'x = = 2'
printf 'return model {\n  build = function()\n    local D = axis("D", 4)\n    return { y = input("x", { axis "T", D }) + rmsnorm(input("z", { D }), axis("F", 3), "n") + sum(1) }\n  end,\n}\n' >bad.lua
expect 1 'bad.lua:4: error: ' "$neap" eval bad.lua --in in.safetensors
printf '\033Lua\0\0' >bad.lua
expect 1 'bad.lua' "$neap" eval bad.lua --in in.safetensors
head -c 100000 /dev/urandom >bad.lua
expect 1 'bad.lua' "$neap" eval bad.lua --in in.safetensors
leaves bad.lua in.safetensors m.lua w.safetensors
finish
