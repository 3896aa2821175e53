#!/bin/bash
# Machines that code is made for: every row compiles. What this machine is runs and says the same; what it is not
# says so and does nothing else, before an instruction that it lacks could end it.
. "$(dirname "$0")/lib.sh"
[ "$(uname -m)" = x86_64 ] || { skip "no x86-64 machine"; finish; }
for other in x86-64-v3 x86-64-v4 zen4 zen5 sapphirerapids native; do expect 0 "^$other .* lanes .* rows" "$neap" targets; done

model=$data/hf/llama
expect 0 'any: ' "$neap" build "$model" --target generic -o any
./any --temp 0 -n 24 --quiet >want 2>&1
flags() { grep -m1 '^flags' /proc/cpuinfo; }
has() { local f; for f; do flags | grep -qw "$f" || return 1; done; }
runs() { # TARGET FEATURES..: those that say whether this machine runs it
    local target=$1
    shift
    expect 0 'made: ' "$neap" build "$model" --target "$target" -o made
    if has "$@"; then
        ./made --temp 0 -n 24 --quiet >text 2>&1
        same text want
    else
        expect 1 'compiled for machines with .*, which this one lacks: .*--target generic' ./made --temp 0 -n 24
    fi
}
runs x86-64-v3 avx2 fma bmi2
runs x86-64-v4 avx512bw avx512dq avx512vl
runs zen4 avx512_vbmi2 avx512_vnni avx512_bf16
runs zen5 avx512_bf16 avx_vnni
runs sapphirerapids avx512_vbmi2 avx512_bf16 avx_vnni
runs native fpu

# instructions that no machine of today has, in every loop of the program
if echo 'int main(void) { return 0; }' | cc -mxop -x c - -o "$work/in/xop" 2>/dev/null && ! has xop; then
    CC="cc -mxop -mfma4" expect 0 'old: ' "$neap" build "$model" -o old
    expect 1 'compiled for machines with XOP, which this one lacks' ./old --temp 0 -n 24
    expect 1 'compiled for machines with XOP' ./old --help
    leaves any made old want text
else
    skip "no compiler that knows XOP"
fi
finish
