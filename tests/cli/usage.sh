#!/bin/bash
# Commands and options as such: what there is, what is refused, what is said about slips.
. "$(dirname "$0")/lib.sh"

expect 2 'neap eval MODEL' "$neap"
expect 0 'neap eval MODEL' "$neap" help
expect 0 'neap eval MODEL' "$neap" --help
expect 0 '^  -w, --weights PATH' "$neap" help eval
expect 0 '^  -w, --weights PATH' "$neap" eval --help
expect 0 '^neap [0-9.]+$' "$neap" version
expect 0 '^neap [0-9.]+$' "$neap" --version
for c in $("$neap" help | sed -n 's/^  neap \([a-z]*\).*/\1/p'); do
    expect 0 "^neap $c" "$neap" help "$c"
    expect 0 "^neap $c" "$neap" "$c" --help
    expect 2 "neap $c: unknown option --nonsense" "$neap" "$c" --nonsense
    expect 2 "neap $c: unknown option -9" "$neap" "$c" -9
done
# what belongs to later work is not there
for c in tune snapshot diff tokenize convert llvm cuda; do expect 2 "unknown command '$c'" "$neap" $c; done
expect 2 "unknown command 'evl'; did you mean eval\?" "$neap" evl
expect 2 "unknown command 'evl'" "$neap" help evl
expect 2 'too many arguments: b' "$neap" info a b
expect 2 'neap info: FILE is missing' "$neap" info
expect 2 'unknown option --wieghts; did you mean --weights\?' "$neap" eval gau --wieghts x
expect 2 '--repeat is no option of this command' "$neap" info --repeat 3
expect 2 '--in wants a value: FILE' "$neap" eval gau --in
expect 2 '--in wants a value: FILE' "$neap" eval gau --in -- x
expect 2 '--in: its FILE is empty' "$neap" eval gau --in=
expect 2 '--rounded takes no value' "$neap" eval gau --rounded=1
expect 2 "--repeat takes a whole number from 1 to 1000000, not '0'" "$neap" eval gau --repeat 0
expect 2 "--repeat takes .*, not 'x'" "$neap" eval gau --repeat=x
expect 2 "--repeat takes .*, not '99999999999999999999'" "$neap" eval gau --repeat 99999999999999999999
for c in build run eval check explain; do
    for n in -1 1.5 x '' 99999999 4x x4 4x-1; do
        expect 2 "neap $c: --chunk takes a whole number from 0 to 1048576, or NxM: .* not '$n'" "$neap" $c gau --chunk "$n"
    done
    expect 2 "--chunk takes .* or NxM: chunks of N steps, 2 or more, .* not '1x4'" "$neap" $c gau --chunk 1x4
    expect 2 "--chunk takes .* or NxM: .* not '16x0'" "$neap" $c gau --chunk 16x0
done
expect 2 "--via takes .*interp.*, not 'llvm'" "$neap" eval gau --via llvm
expect 2 "--via takes .*interp.*, not ''" "$neap" eval gau --via ''
leaves

# what is printed from tables
"$neap" ops >"$work/ops.md"
same "$work/ops.md" "$root/docs/ops.md"
expect 0 '^exp %a: e\^x$' "$neap" ops exp
expect 0 '^contract %a %b "TEXT"' "$neap" ops exp contract
expect 2 "no op 'expp'; did you mean exp\?" "$neap" ops expp
expect 0 '^gau  .*weights included' "$neap" models
expect 0 '^mixers/gla  ' "$neap" models
if [ -e /dev/full ]; then expect 1 'cannot write to standard output' bash -c "'$neap' ops >/dev/full"; else skip "no /dev/full"; fi
leaves
finish
