#!/bin/bash
# What work memory holds may not grow with the length of the sequence where a scan is cut into chunks: inputs are read and outputs are
# stored where they lie.
. "$(dirname "$0")/lib.sh"

# grows MODEL ARGS..: the buffers of @prefill whose type has T
grows() { "$neap" explain "$@" | sed -n '/^memory of @prefill/,/bytes in buffers/p' | awk '$2 ~ /T/ && $4 != "local"'; }
for m in simple_gla gla delta_rule gated_delta_rule kda rwkv6 rwkv7 retention linear_attn lightning_attn comba erase_write momentum; do
    for n in 7 16 16x4; do
        expect 0 "in chunks of ${n%x*} steps" "$neap" explain "mixers/$m" --chunk "$n" --set size.H=4 --set size.K=8 --set size.V=8 --set size.B=2
        expect 0 '' grows "mixers/$m" --chunk "$n" --set size.H=4 --set size.K=8 --set size.V=8 --set size.B=2
        [ -s "$work/printed" ] && bad "mixers/$m --chunk $n: memory grows" && cat "$work/printed"
    done
done
for m in s4d mamba; do # no scores: a convolution, and step by step from nothing
    expect 0 '4 side by side' "$neap" explain "mixers/$m" --chunk 16x4 --set size.D=8 --set size.N=4 --set size.B=2
    expect 0 '' grows "mixers/$m" --chunk 16x4 --set size.D=8 --set size.N=4 --set size.B=2
    [ -s "$work/printed" ] && bad "mixers/$m --chunk 16x4: memory grows" && cat "$work/printed"
done
finish
