# What the tests of the command line share. A test is a line:
#   expect STATUS PATTERN COMMAND..   the exit status; a regular expression (grep -E) that what it prints matches
# and nothing that it prints may speak of a mistake of neap itself. Commands run in an empty folder; `leaves NAME..`
# says that exactly these files lie in it afterwards, and empties it. Ends with `finish`.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
neap=${NEAP:-$root/build/neap}
data=$root/tests/data
shared=${NP_SHARED:-$root/../shared}
passed=0 failed=0 skipped=0
work=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export XDG_CACHE_HOME=$work/cache
mkdir "$work/in" "$work/at" && cd "$work/at" || exit 1

good() { passed=$((passed + 1)); }
bad() {
    local at=$((${#BASH_SOURCE[@]} - 1))
    failed=$((failed + 1))
    echo "FAIL ${BASH_SOURCE[at]##*/}:${BASH_LINENO[at - 1]}: $*"
}
skip() { skipped=$((skipped + 1)); echo "SKIP $*"; }

expect() {
    local want=$1 pattern=$2 got
    shift 2
    "$@" >"$work/printed" 2>&1 </dev/null
    got=$?
    if [ $got -ne "$want" ]; then
        bad "exit status $got, not $want: $*"; sed 's/^/    /' "$work/printed" | head -20
    elif [ -n "$pattern" ] && ! grep -Eq -- "$pattern" "$work/printed"; then
        bad "no line matches '$pattern': $*"; sed 's/^/    /' "$work/printed" | head -20
    else
        good
    fi
}
leaves() {
    local now want
    now=$(ls -A "$work/at" | tr '\n' ' ') want=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
    [ $# -eq 0 ] && want=
    if [ "$now" = "$want" ]; then good; else bad "files left: '$now', not '$want'"; fi
    chmod -R u+w "$work/at"; rm -rf "${work:?}/at"; mkdir "$work/at"; cd "$work/at" || exit 1
}
le() { local v=$2 i; for ((i = 0; i < $1; i++)); do printf "\\x$(printf %02x $((v >> 8 * i & 255)))"; done; }
# tokens FILE N..: a safetensors file with these as i64 `tokens`; [shape=2,4] tokens ..: of that shape
tokens() {
    local file=$1 head i
    shift
    head="{\"tokens\":{\"dtype\":\"I64\",\"shape\":[${shape:-$#}],\"data_offsets\":[0,$((8 * $#))]}}"
    { le 8 ${#head}; printf %s "$head"; for i; do le 8 "$i"; done; } >"$file"
}
# values FILE NAME: the whole numbers of an i64 tensor in a safetensors file
values() {
    local head from to n
    n=$(od -An -t d8 -N 8 "$1" | tr -d ' ')
    head=$(head -c $((8 + n)) "$1" | tail -c "$n")
    read -r from to < <(echo "$head" | grep -Eo "\"$2\": *\{[^}]*" | grep -Eo '[0-9]+, *[0-9]+\]$' | tr -d ']' | tr ',' ' ')
    od -An -v -t d8 -j $((8 + n + from)) -N $((to - from)) "$1"
}
same() { if cmp -s "$1" "$2"; then good; else bad "$1 and $2 differ"; fi; }
finish() {
    echo "$(basename "$0" .sh): $passed passed, $failed failed, $skipped skipped"
    [ $failed -eq 0 ]
}
