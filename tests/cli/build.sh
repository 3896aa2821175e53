#!/bin/bash
# neap build and run: programs, C files, what is said about bad places and broken compilers, and that nothing half-made stays.
. "$(dirname "$0")/lib.sh"
cc=${CC:-cc}

# a program: the text that is expected, from the folder of the model and from C
expect 0 'gau: [0-9]+ KiB; model .* ms, passes .* ms, C text .* ms, C compiler .* ms' "$neap" build gau
./gau --temp 0 -n 600 --quiet >text 2>err
tr '\n' '\0' <text | cmp -s -n 560 - <(tr '\n' '\0' <"$data/default/expected.txt") && good || bad "greedy text of gau"
./gau --temp 0 -n 20 --quiet --save kept >/dev/null
expect 0 'kept: saved state, version 1' "$neap" info kept
expect 0 '^  [0-9]+ tokens of a vocabulary of 256' "$neap" info kept
rm gau err text kept
expect 0 'gau.c: [0-9]+ KiB' "$neap" build gau --emit c
expect 0 'again.c: [0-9]+ KiB' "$neap" build "$root/models/gau.lua" --emit c -o again.c
same gau.c again.c
for strict in gcc clang-14 clang-19; do
    if command -v $strict >/dev/null; then
        expect 0 '' $strict -std=c99 -Wall -Wextra -pedantic -Werror -O1 gau.c -lm -o gau
        expect 0 '^There was' ./gau --temp 0 -n 40 --quiet
    else
        skip "no $strict"
    fi
done
leaves gau gau.c again.c
# the same code with sanitizers: prompts in blocks, steps, states
expect 0 '' "$neap" build "$data/hf/llama3-rope/" --emit c -o l.c
for strict in gcc clang-19; do
    if command -v $strict >/dev/null; then
        expect 0 '' $strict -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all l.c -lm -o l
        expect 0 '^[0-9 ]+$' ./l --temp 0 -n 40 --ids --quiet --save kept
        expect 0 '^[0-9 ]+$' ./l --temp 0 -n 90 --ids --quiet --load kept -p "$(seq -s ' ' 30 80)"
    else
        skip "no $strict"
    fi
done
leaves l l.c kept
expect 0 'no tokenizer: the program reads and prints ids' "$neap" build "$data/hf/gpt2/" -o gpt2
leaves gpt2

# the real checkpoint, where it lies beside the project
stories=$shared/data/stories260k
if [ -e "$stories" ]; then
    expect 0 'story: ' "$neap" build llama --weights "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" -o story
    ./story --temp 0 -n 200 --quiet >text 2>&1
    same text "$stories/expected.txt"
    ./story --temp 0 -n 200 --quiet -p 'The cat sat on' >text 2>&1
    same text "$stories/expected-prompt.txt"
    expect 0 'story: ' "$neap" build "$stories/stories260K.bin" --tokenizer "$stories/tok512.bin" -o story --target native
    ./story --temp 0 -n 200 --quiet >text 2>&1
    same text "$stories/expected.txt"
    expect 1 'holds 512 tokens and the model has 160' "$neap" build "$data/hf/llama/" --tokenizer "$stories/tok512.bin" -o other
    head -c 300000 "$stories/stories260K.bin" >cut.bin
    expect 1 'cut.bin: error: its header asks for .* is it cut off' "$neap" build llama --weights cut.bin
    leaves story text cut.bin
else
    skip "no $stories"
fi

# graphs, traces
expect 0 'gau.np: ' "$neap" build gau --emit graph
expect 0 '@prefill: 1 inputs, 10 states, 1 outputs' "$neap" info gau.np
leaves gau.np
expect 0 '^fn @step' "$neap" build gau --backend null --print-after fuse
expect 0 '# before inline' "$neap" build gau --backend null --print-before all
expect 0 '^loops +prefill +[0-9]+ nodes +[0-9.]+ ms' "$neap" build gau --backend null --time
expect 0 '' "$neap" build mixers/gla --emit lib --backend null --eval --set size.H=2 --set size.K=3 --set size.V=2
expect 2 "there is no pass 'fuze'; there are inline, " "$neap" build gau --print-after fuze
expect 2 "--emit takes one of bin\|lib\|so\|c\|obj\|asm\|graph, not 'll'" "$neap" build gau --emit ll
expect 2 "--backend takes one of c\|null, not 'cuda'" "$neap" build gau --backend cuda
expect 2 "--target takes one of generic\|x86-64-v3\|x86-64-v4\|zen4\|zen5\|sapphirerapids\|native, not 'vax'$" "$neap" build gau --target vax
expect 2 "not 'x86-64-v33'; did you mean x86-64-v3\?" "$neap" build gau --target x86-64-v33
expect 2 "not 'zen-5'; did you mean zen5\?" "$neap" build gau --target zen-5
leaves

# -o -: a text goes to standard output, what is none nowhere
"$neap" build gau --emit c -o "$work/in/gau.c" 2>/dev/null
"$neap" build gau --emit c -o - >"$work/in/printed.c" 2>/dev/null
same "$work/in/gau.c" "$work/in/printed.c"
expect 0 '^fn @main' "$neap" build gau --emit graph -o -
for kind in bin lib so obj asm; do expect 2 '-o -: only --emit c and --emit graph' "$neap" build gau --emit $kind -o -; done
expect 2 '-o -: only --emit c and --emit graph' "$neap" build gau -o -
expect 2 '-o -: only --emit c and --emit graph' "$neap" eval mixers/gla --in "$data/mixers/gla-mild.safetensors" -o -
[ -e /dev/full ] && expect 1 'standard output: error: cannot write: No space left' bash -c "'$neap' build gau --emit c -o - >/dev/full"
leaves

# what cannot be a program
expect 1 'a program reads and writes text' "$neap" build mixers/gla --set size.H=2 --set size.K=3 --set size.V=2
expect 1 'this one cannot: ' "$neap" build attn --set causal=false --context 9 --set size.H=2 --set size.K=3 --set size.V=2 --set size.Q=2
expect 1 'has 47 weights, .* and none were given: --weights' "$neap" build llama
expect 1 'the model reads bytes' "$neap" build gau --tokenizer x
expect 1 'nope: error: cannot open' "$neap" build llama --weights nope
leaves

# places and compilers
mkdir folder closed
expect 1 'folder: error: is a folder' "$neap" build gau -o folder
expect 1 'folder: error: ' "$neap" build gau -o folder --emit c
expect 1 '/dev/null: error: is no regular file' "$neap" build gau -o /dev/null
expect 1 'nofolder/gau.c: error: cannot write: No such file' "$neap" build gau -o nofolder/gau.c --emit c
[ -e /dev/full ] && expect 1 '/dev/full: error: cannot write: No space left' "$neap" build gau --emit c -o /dev/full
expect 1 'gau.c: error: cannot write: File too large' bash -c "trap '' XFSZ; ulimit -f 100; '$neap' build gau --emit c"
expect 1 'File too large|C compiler .* failed' bash -c "trap '' XFSZ; ulimit -f 100; '$neap' build gau"
if [ "$(id -u)" != 0 ]; then
    chmod a-w closed
    expect 1 'closed/gau.c: error: cannot write: Permission denied' "$neap" build gau --emit c -o closed/gau.c
else
    skip "root may write anywhere"
fi
expect 1 'there is no C compiler: install gcc or clang' env -u CC PATH=/nonexistent "$neap" build gau
expect 1 'the C compiler "/nonexistent" .* is not there' env CC=/nonexistent "$neap" build gau
expect 1 '^nofolder/x: error: cannot write: No such file' "$neap" build gau -o nofolder/x
expect 1 'the C compiler false failed' env CC=false "$neap" build gau
expect 1 'neap-XXXXXX|cannot be made' env TMPDIR=/nonexistent "$neap" build gau
leaves closed folder

# run: built once, then from the cache
expect 0 '^There was' "$neap" run gau -- --temp 0 -n 60 --quiet
[ "$(ls "$XDG_CACHE_HOME/neap" | wc -l)" = 1 ] && good || bad "files in the cache: $(ls "$XDG_CACHE_HOME/neap")"
expect 0 '^There was' env PATH="$PATH" "$neap" run gau -- --temp 0 -n 60 --quiet
[ "$(ls "$XDG_CACHE_HOME/neap" | wc -l)" = 1 ] && good || bad "files in the cache: $(ls "$XDG_CACHE_HOME/neap")"
expect 0 '--temp X' "$neap" run gau -- --help
expect 0 '^There was' env CC="$cc -O1" "$neap" run gau -- --temp 0 -n 60 --quiet
[ "$(ls "$XDG_CACHE_HOME/neap" | wc -l)" = 2 ] && good || bad "another compiler is another program"
expect 1 'a program reads and writes text' "$neap" run mixers/gla --set size.H=2 --set size.K=3 --set size.V=2
expect 1 'the cache cannot be made' env XDG_CACHE_HOME=/dev/null "$neap" run gau
expect 1 'no place for the cache' env -u XDG_CACHE_HOME -u HOME "$neap" run gau
leaves
finish
