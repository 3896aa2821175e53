#!/bin/bash
# docs/chunking.md shows what the compiler prints for the description that stands in it. With --write the page is brought up to date.
. "$(dirname "$0")/lib.sh"
page=$root/docs/chunking.md
sed -n '/^```lua$/,/^```$/p' "$page" | sed '1d;$d' >"$work/gated.lua"
build() { (cd "$work" && "$neap" build gated.lua --chunk 4 --emit c -o gated.c "$@" 2>&1); }
show() { # what the comment in front of a block names
  case $1 in
  "before chunk") build --print-before chunk | sed -n '/^fn @prefill/,/^}/p' ;;
  "after chunk") build --print-after chunk | sed -n '/^fn @prefill/,/^}/p' ;;
  notes) (cd "$work" && "$neap" explain gated.lua --chunk 4 && "$neap" explain gated.lua) | grep '^  chunk: ' | sed 's/^  chunk: //' ;;
  c) build >"$work/log" && sed -n '/^static void gated_scan(/,/^}/p' "$work/gated.c" ;;
  *) echo "nothing is known of $1" ;;
  esac
}
while IFS= read -r line; do
  echo "$line"
  case $line in
  "<!-- print: "*" -->")
    what=${line#"<!-- print: "}
    IFS= read -r fence && echo "$fence"
    show "${what%" -->"}"
    while IFS= read -r old && [ "$old" != '```' ]; do :; done
    echo '```' ;;
  esac
done <"$page" >"$work/page.md"
[ "${1:-}" = --write ] && cp "$work/page.md" "$page"
expect 0 '' diff "$page" "$work/page.md"
finish
