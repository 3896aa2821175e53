#!/bin/bash
# Attention without softmax in its quadratic form: what neap makes of it, what it remembers, and that it says so.
. "$(dirname "$0")/lib.sh"
quad=$root/tests/lua/quadratic
sizes="--set size.B=1 --set size.H=2 --set size.K=3 --set size.V=4"

for m in linear_attn retention simple_gla gla; do
    expect 0 '^[5-9][0-9] passed, 0 failed' "$neap" check "$quad/$m.lua"
    expect 0 'reassoc: .*kept as a state f32\[1,2,3,4\]' "$neap" explain "$quad/$m.lua" $sizes
    expect 0 '^  S +f32\[1,2,3,4\] +at most 96 bytes' "$neap" explain "$quad/$m.lua" $sizes
    for f in "$data/mixers/$m"-*.safetensors; do
        expect 0 '^o f32\[' "$neap" eval "$quad/$m.lua" --in "$f" --split 33
    done
done
expect 0 'with no decay, read after a step writes' "$neap" explain "$quad/linear_attn.lua" $sizes
expect 0 'with a decay that is constant in time' "$neap" explain "$quad/retention.lua" $sizes
expect 0 'with a decay for each step' "$neap" explain "$quad/simple_gla.lua" $sizes
expect 0 'kept as a state f32\[1,2,3\]' "$neap" explain "$quad/linear_attn.lua" $sizes --set normalize=true
expect 0 'keeps them all: its exponent is no sum of values of one position each: contract' "$neap" explain forgetting_attn $sizes --set size.Q=2 --context 9

# many ways to write it, none of which keeps a history
expect 0 '^[5-9][0-9] passed, 0 failed' "$neap" check "$quad/variants.lua"
expect 0 '^  at most 544 bytes in all' "$neap" explain "$quad/variants.lua"

# without a mask: both orders, and the number of positions that decides
expect 0 '^ok +test many' "$neap" check "$quad/unmasked.lua"
expect 0 'reassoc: .*@whole: contracted in one order where T is below 31, in another from there on' "$neap" explain "$quad/unmasked.lua" --context 4096
expect 0 '^no step: ' "$neap" explain "$quad/unmasked.lua" --context 4096
finish
