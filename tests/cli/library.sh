#!/bin/bash
# Models as libraries: what lib, so and obj give, used from a C program of its own.
. "$(dirname "$0")/lib.sh"
cc=${CC:-cc}

expect 0 'm.a: [0-9]+ KiB; model .* C compiler' "$neap" build "$data/hf/llama/" --emit lib -o m
cat >use.c <<'C'
/* Any way of cutting the tokens gives the same logits; argument 1 is where. */
#include "m.h"
#include <math.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    static const int32_t token[12] = {1, 9, 4, 33, 150, 7, 7, 90, 12, 2, 61, 8};
    int64_t first = argc > 1 ? atoi(argv[1]) : 1, V;
    const char *why;
    np_session *a = np_open(&why), *b = np_open(&why);
    if (!a || !b) return puts(why), 1;
    V = np_vocabulary(a);
    if (np_feed(a, token, 12) || np_feed(b, token, first)) return 1;
    for (int64_t i = first, n; i < 12; i += n) /* by twos and ones: prefill and step in turn */
        if (np_feed(b, token + i, n = i % 3 == 0 && i < 11 ? 2 : 1)) return 1;
    for (int64_t i = 0; i < V; i++)
        if (!(fabsf(np_logits(a)[i] - np_logits(b)[i]) < 1e-4f)) return printf("logit %d differs\n", (int)i), 1;
    printf("%d logits agree\n", (int)V);
    np_close(a);
    np_close(b);
    return 0;
}
C
expect 0 '' $cc -std=c99 -Wall -Wextra -pedantic -Werror -O1 use.c m.a -lm -o use
for first in 1 2 3 5 11; do expect 0 '160 logits agree' ./use $first; done
leaves m.a m.h use use.c

# small random checkpoints: what transformers goes on with, choosing the likeliest
cat >greedy.c <<'C'
#include "m.h"
#include <stdlib.h>
int main(int argc, char **argv) /* tokens, -1, how many are to follow */
{
    int n = 1;
    const char *why;
    np_session *s = np_open(&why);
    np_sampler likeliest;
    if (!s) return puts(why), 1;
    np_sampler_init(&likeliest, 1);
    likeliest.temp = 0;
    for (int32_t t; n < argc && (t = atoi(argv[n])) >= 0; n++)
        if ((why = np_feed(s, &t, 1))) return puts(why), 1;
    for (int i = atoi(argv[argc - 1]); i > 0; i--) {
        int32_t t = np_sample(s, &likeliest);
        printf("%d ", (int)t);
        if ((why = np_feed(s, &t, 1))) return puts(why), 1;
    }
    np_close(s);
    return 0;
}
C
for m in llama llama3-rope gpt2 mistral qwen3 mixtral gpt_neox mamba mamba2 rwkv; do
    expect 0 '' "$neap" build "$data/hf/$m" --emit lib -o m
    expect 0 '' $cc -std=c99 -Wall -Wextra -pedantic -Werror -O1 greedy.c m.a -lm -o greedy
    ./greedy $(values "$data/hf/$m/expected.safetensors" tokens_0) -1 24 | tr -s ' ' '\n' >got
    values "$data/hf/$m/expected.safetensors" greedy_0 | tr -s ' ' '\n' | sed '/^$/d' >want
    same got want
done
[ "$(wc -l <want)" = 24 ] && good || bad "24 tokens are expected"
leaves m.a m.h greedy greedy.c got want

# any model is a library; sizes that the description leaves open are asked for
expect 1 'the size of axis H is not known' "$neap" build mixers/gla --emit so
expect 0 'gla.so' "$neap" build mixers/gla --emit so --set size.H=2 --set size.K=4 --set size.V=6
expect 0 'gla.o' "$neap" build mixers/gla --emit obj --set size.H=2 --set size.K=4 --set size.V=6 --batch 3
expect 0 'gla.s' "$neap" build mixers/gla --emit asm --set size.H=2 --set size.K=4 --set size.V=6
expect 0 'gla.c' "$neap" build mixers/gla --emit c --set size.H=2 --set size.K=4 --set size.V=6
expect 0 '' $cc -std=c99 -Wall -Wextra -pedantic -Werror -O1 -c gla.c -o gla2.o
if command -v nm >/dev/null; then expect 0 ' np_rt_this$' nm gla.o; else skip "no nm"; fi
leaves gla.so gla.o gla.s gla.c gla2.o
# attention keeps every position: someone must say how many there are
sizes=(--set size.H=1 --set size.Q=1 --set size.K=4 --set size.V=4)
expect 1 'names no limit: --context N' "$neap" build mixers/attn --emit so "${sizes[@]}"
expect 1 'names no limit: --context N' "$neap" build mixers/attn --emit so "${sizes[@]}" --set causal=false
expect 0 'attn.so' "$neap" build mixers/attn --emit so "${sizes[@]}" --context 100
expect 0 'attn.so' "$neap" build mixers/attn --emit so "${sizes[@]}" --context 100 --set causal=false
leaves attn.so
finish
