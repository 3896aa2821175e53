#!/bin/bash
# The rooms and who may see whom (docs/design.md), and how long a file may be. Every `#include "..."` of a room is
# resolved as the compiler does, beside the file or from the root, and must end in a room that this one may see.
set -u
root=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
longest=800
passed=0 failed=0
cd "$root" || exit 1

allowed() { # FROM TO FILE
    case $1:$2 in
    ir:ir | frontend:frontend | frontend:ir | passes:passes | passes:ir | backends:backends | backends:ir) return 0 ;;
    runtime:runtime | driver:*) return 0 ;;
    frontend:runtime) [[ $3 == *.h ]] ;; # formats of files
    *) return 1 ;;
    esac
}
bad() {
    failed=$((failed + 1))
    echo "FAIL $*"
}
while IFS=: read -r file line text; do
    name=${text#*\"} name=${name%%\"*}
    target=
    for base in "$(dirname "$file")" .; do
        [ -e "$base/$name" ] && target=$(realpath --relative-to=. "$base/$name") && break
    done
    if [ -z "$target" ]; then
        bad "$file:$line: there is no $name"
    elif ! allowed "${file%%/*}" "${target%%/*}" "$target"; then
        bad "$file:$line: ${file%%/*}/ may not see $target"
    else
        passed=$((passed + 1))
    fi
done < <(grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' {ir,frontend,passes,backends,runtime,driver}/*.[ch])
while read -r lines file; do
    [ "$file" = total ] && continue
    if [ "$lines" -gt $longest ]; then bad "$file: $lines lines, $longest at most"; else passed=$((passed + 1)); fi
done < <(wc -l {ir,frontend,passes,backends,runtime,driver}/*.[ch] frontend/*.lua tests/*.[ch] tests/*/*.[ch])
echo "edges: $passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
