#!/bin/bash
# neap eval: models against tensors that others computed, and everything that can be wrong about its files.
. "$(dirname "$0")/lib.sh"
expected=$data/default/expected.safetensors
gla=$data/mixers/gla-mild.safetensors

expect 1 'nothere.lua: error: there is no such file' "$neap" eval nothere.lua --in x
expect 1 'gla2: error: there is no such file and no model of that name; did you mean gla\?' "$neap" eval gla2 --in x
expect 2 '--in FILE is missing' "$neap" eval gau
expect 1 'nope: error: cannot open: No such file' "$neap" eval gau --in nope
expect 1 'nope: error: cannot open: No such file' "$neap" eval gau --in "$gla" --weights nope
expect 1 'input tokens is not given' "$neap" eval gau --in "$gla"
head -c 1000 "$gla" >cut.safetensors
expect 1 'cut.safetensors: error: .*(cut|header|behind|beyond)' "$neap" eval mixers/gla --in cut.safetensors
: >empty.safetensors
expect 1 'empty.safetensors: error: ' "$neap" eval mixers/gla --in empty.safetensors
leaves cut.safetensors empty.safetensors

expect 0 '^o f32\[2,67,' "$neap" eval mixers/gla --in "$gla" --rounded --via interp
expect 0 '^final_state f64\[' "$neap" eval mixers/gla --in "$gla" --via interp
expect 2 '--rounded is about --via interp' "$neap" eval mixers/gla --in "$gla" --rounded
expect 0 'median [0-9.]+ ms, min [0-9.]+ ms of 3 runs' "$neap" eval mixers/gla --in "$gla" --repeat 3
expect 0 '' "$neap" eval mixers/gla --in "$gla" -o out.safetensors --via interp
expect 0 ' o  +f64\[' "$neap" info out.safetensors
leaves out.safetensors
expect 1 '--set: error: scle: the model has no such key; did you mean scale\?' "$neap" eval mixers/gla --in "$gla" --set scle=1
expect 2 "--set: error: expected key=value" "$neap" eval mixers/gla --in "$gla" --set scale
tokens in.safetensors 0 65 66
expect 0 '^logits f64\[3,256\]' "$neap" eval gau --in in.safetensors --via interp
expect 1 '--batch: error: size.B: the model has no such key' "$neap" eval gau --in in.safetensors --batch 2
mkdir folder ro
expect 1 'folder: error: cannot write: Is a directory' "$neap" eval mixers/gla --in "$gla" -o folder
expect 1 'nofolder/out: error: cannot write: No such file' "$neap" eval mixers/gla --in "$gla" -o nofolder/out
[ -e /dev/full ] && expect 1 '/dev/full: error: cannot write: No space left' "$neap" eval mixers/gla --in "$gla" -o /dev/full
expect 1 'out: error: cannot write: File too large' bash -c "trap '' XFSZ; ulimit -f 4; '$neap' eval mixers/gla --in '$gla' --via interp -o out"
rmdir folder ro
leaves in.safetensors
tokens in.safetensors 1 2 3

# carried state: two calls are one
tokens in.safetensors 0 84 104 101 32 115 101 97
for via in interp c; do
    expect 0 '' "$neap" eval gau --in in.safetensors --via $via -o whole
    expect 0 '' "$neap" eval gau --in in.safetensors --via $via -o split --split 5
    expect 0 'logits +f(32|64)\[8,256\]' "$neap" info split
    for split in 0 8; do # nothing, then all; all, then nothing
        expect 0 '' "$neap" eval gau --in in.safetensors --via $via -o other --split $split
        same whole other
    done
    expect 1 "in.safetensors: error: --split 9: the inputs have 8 steps" "$neap" eval gau --in in.safetensors --via $via --split 9
done
expect 1 'has no step: ' "$neap" eval attn --in "$data/mixers/attn-grouped.safetensors" --set causal=false --split 5
expect 0 '^o f32' "$neap" eval attn --in "$data/mixers/attn-grouped.safetensors" --set causal=false
expect 1 'there is no C compiler|is not there' env CC=/nonexistent "$neap" eval mixers/gla --in "$gla"
expect 1 'the C compiler false failed' env CC=false "$neap" eval mixers/gla --in "$gla"
leaves in.safetensors whole split other
tokens in.safetensors 1 2 3

# chunks: cut to the sequence, pointless without a scan; through the interpreter too
for via in interp c; do
    for n in 0 1 7 64 7x4 16x8; do expect 0 '^o f(32|64)\[2,67,' "$neap" eval mixers/gla --in "$gla" --via $via --chunk $n; done
    expect 0 '^--chunk: warning: 128: there are at most 67 steps at once; the chunk is cut to 67' "$neap" eval mixers/gla --in "$gla" --via $via --chunk 128
    expect 0 '^--chunk: warning: 7: the model has no scan with a state' \
        "$neap" eval attn --in "$data/mixers/attn-grouped.safetensors" --via $via --chunk 7
done
# a body that cannot be taken apart goes step by step, and who asked for chunks is told why
cat >"$work/bent.lua" <<'END'
local T = axis "T"
return model { build = function()
  local x = int(input("tokens", { T }, int))
  local y = scan(T, { S = zeros({}, f32) }, function(s)
    local S = tanh(s.S + x)
    return S, { S = S }
  end)
  return { y = y:as { T } }
end }
END
for via in interp c; do
    expect 0 '' "$neap" eval "$work/bent.lua" --in in.safetensors --via $via -o whole
    expect 0 'bent.lua:5: warning: --chunk 2: a scan keeps its step form \(chunk 1\): .* not affine' \
        "$neap" eval "$work/bent.lua" --in in.safetensors --via $via --chunk 2 -o other
    same whole other
done
for n in -3 1.5 many ''; do expect 2 "chunk takes a whole number from 0 to" "$neap" eval "$work/bent.lua" --in in.safetensors --chunk "$n"; done
# sequences of no step and of one
shape=0 tokens none
tokens single 65
for via in interp c; do
    expect 0 '^logits f(32|64)\[0,256\]  empty' "$neap" eval gau --in none --via $via
    expect 0 '^logits f(32|64)\[1,256\]  least' "$neap" eval gau --in single --via $via
    expect 0 'empty' "$neap" eval gau --in none --via $via --split 0
    expect 0 'least' "$neap" eval gau --in single --via $via --split 1
    expect 1 '--split 1: the inputs have 0 steps' "$neap" eval gau --in none --via $via --split 1
    expect 1 '--split 2: the inputs have 1 step$' "$neap" eval gau --in single --via $via --split 2
done
leaves in.safetensors whole other none single
tokens in.safetensors 1 2 3

# a batch of token sequences for a model of one: a run for each
shape=2,4 tokens pair 0 84 104 101 0 65 66 67
tokens one 0 65 66 67
expect 0 '^logits f64\[2,4,256\]' "$neap" eval gau --in pair --via interp
expect 0 '^logits f32\[2,4,256\]' "$neap" eval gau --in pair --split 2
"$neap" eval gau --in pair -o both && "$neap" eval gau --in one -o second
same <(tail -c 4096 both) <(tail -c 4096 second)
shape=1,2,4 tokens deep 0 84 104 101 0 65 66 67
expect 1 'input tokens has 3 axes, the model declares \(T\)' "$neap" eval gau --in deep
leaves in.safetensors pair one both second deep
tokens in.safetensors 1 2 3

# a checkpoint folder as MODEL; names of its weights; what is missing
for m in llama gpt2; do
    sed 's/"model_type": "[a-z0-9]*"/"model_type": "alien"/' "$data/hf/$m/config.json" >config.json
    cp "$data/hf/$m/model.safetensors" .
    expect 1 "no model serves its model_type 'alien'" "$neap" eval ./ --in "$expected"
    sed '/"model_type"/d' "$data/hf/$m/config.json" >config.json
    expect 1 'does not say which model it belongs to' "$neap" eval . --in "$expected"
    rm config.json model.safetensors
done
expect 1 'the model has 47 weights, .* and none were given: --weights' "$neap" eval llama --in in.safetensors
leaves in.safetensors
finish
