#!/bin/bash
# neap check, explain and info.
. "$(dirname "$0")/lib.sh"

# models with a scan in several forms, models without one, checkpoints; sizes from a self-test, or picked
for m in gau linear_attn mixers/gla gated_delta_rule mixers/mamba mixers/rwkv7 mamba2_block; do
    expect 0 '^[3-9][0-9] passed, 0 failed' "$neap" check "$m"
done
for m in llama attn "$data/hf/llama" "$data/hf/gpt2" "$data/hf/llama3-rope"; do expect 0 '^1[0-9] passed, 0 failed' "$neap" check "$m"; done
"$neap" check mixers/gla >"$work/gla"
for form in 'step by step' 'step by step, compiled' 'chunk 3' 'chunk 16' 'chunk 16, compiled' 'chunk 37' 'chunk 5x3' automatic 'automatic, compiled'; do
    for what in 'gives what is described' 'cut anywhere, the state goes on' 'the state saved and loaded' 'large changes of the future leave the past' \
        'what stands behind the end is inert' 'a sequence of a batch leaves the others' 'decays that forget everything stay exact' \
        'NaN and infinity reach what depends on them'; do
        expect 0 '' grep -Eq "^ok +$form: $what +[0-9.e+-]+$" "$work/gla"
    done
done
expect 0 ' passed, 0 failed' "$neap" check griffin --set window=5 # a key of the config
expect 1 'there is no kind of layers nope' "$neap" check hybrid --set pattern='gla nope'
expect 0 '^ok +chunk 5, compiled: gives what is described' "$neap" check mixers/gla --chunk 5
expect 0 '^ok +chunk 5x3, compiled: gives what is described' "$neap" check mixers/gla --chunk 5x3
# sizes that are asked for win over those of the self-test
expect 0 ' passed, 0 failed' "$neap" check mixers/gla --set size.H=1 --set size.K=1 --set size.V=1
expect 0 '^--chunk: warning: 64: there are at most 37 steps at once' "$neap" check mixers/gla --chunk 64
expect 0 '^ok +compiled: gives what is described' "$neap" check attn
# a state that is taken over at times, or not: what is not taken does not come through, not even a NaN
cat >"$work/in/taken.lua" <<'L'
local T, K, V = axis "T", axis("K", 3), axis("V", 2)
return model {
  build = function()
    local q, k, v = input("q", { T, K }), input("k", { T, K }), input("v", { T, V })
    local o = scan(T, { shown = zeros { K, V }, all = zeros { K, V } }, function(s)
      local shown = where(eq(pos(T) % 3, 0), s.all, s.shown)
      return dot(q, shown, K), { shown = shown, all = s.all + k * v }
    end)
    return { o = o:as { T, V } }
  end,
}
L
expect 0 ' passed, 0 failed' "$neap" check "$work/in/taken.lua"
# a state that is reset and then read for the next write: what was there is not read, not even a NaN
cat >"$work/in/reset.lua" <<'L'
local T, K, V = axis "T", axis("K", 4), axis("V", 3)
return model {
  build = function()
    local q, k, v, reset = input("q", { T, K }), input("k", { T, K }), input("v", { T, V }), input("reset", { T }, bool)
    local o = scan(T, { S = zeros { K, V } }, function(s)
      local S = where(reset, 0, s.S)
      S = S + k * (v - dot(k, S, K))
      return dot(q, S, K), { S = S }
    end)
    return { o = o:as { T, V } }
  end,
}
L
expect 0 ' passed, 0 failed' "$neap" check "$work/in/reset.lua"
# a normaliser and a stabiliser in chunks of an odd size: gcc 12 has taken vectors of it from wrong places (backends/c.c)
cat >"$work/in/odd.lua" <<'L'
local T, H, K, V = axis "T", axis("H", 2), axis("K", 4), axis("V", 3)
return model {
  build = function()
    local q, k, v = input("q", { T, H, K }), input("k", { T, H, K }), input("v", { T, H, V })
    local i, f = input("i", { T, H }), logsigmoid(input("f", { T, H }))
    local o = scan(T, { C = zeros { H, K, V }, n = zeros { H, K }, m = zeros { H } }, function(s)
      local m = maximum(f + s.m, i)
      local keep, write = exp(f + s.m - m), exp(i - m)
      local C, n = keep * s.C + write * k * v, keep * s.n + write * k
      return dot(q, C, K) / maximum(abs(dot(q, n, K)), exp(-m)), { C = C, n = n, m = m }
    end)
    return { o = o:as { T, H, V } }
  end,
}
L
expect 0 ' passed, 0 failed' "$neap" check "$work/in/odd.lua" --chunk 7
# the theorems say something: sequences of a batch that are mixed are found
cat >leak.lua <<'L'
local B, T, D = axes "B T D"
return model {
  build = function()
    local x = input("x", { B, T, D })
    local y = scan(T, { S = zeros { B, D } }, function(s) local S = 0.9 * s.S + x; return S, { S = S } end)
    return { y = (y + 0.001 * sum(x, B)):as { B, T, D } }
  end,
}
L
expect 1 '^FAIL +step by step: a sequence of a batch leaves the others +[1-9]' "$neap" check leak.lua
expect 1 '^ok +step by step: large changes of the future leave the past' "$neap" check leak.lua
cat >large.lua <<'L'
local T, D, E = axis "T", axis("D", 2001), axis("E", 2000)
return model { build = function() return { y = linear(input("x", { T, D }), D, E, "proj"):as { T, E } } end }
L
expect 1 'large.lua: error: 4 million weights are too many to make up: give .* a self-test' "$neap" check large.lua
leaves leak.lua large.lua

# a model that looks ahead has no step; one whose self-test expects something else fails
cat >ahead.lua <<'L'
local T, D = axis "T", axis("D", 3)
return model {
  build = function()
    local x = input("x", { T, D })
    local J = T:other()
    return { y = (x + sum(x:over(T, J), J)):as { T, D } }
  end,
  tests = { sums = { sizes = { T = 2 }, inputs = { x = { 1, 2, 3, 4, 5, 6 } }, expect = { y = { 6, 9, 12, 9, 12, 15 } } } },
}
L
expect 0 'no step: ' "$neap" check ahead.lua
expect 0 '^6 passed, 0 failed' "$neap" check ahead.lua
sed 's/15 }/16 }/' ahead.lua >wrong.lua
expect 1 '^FAIL +test sums +6\.' "$neap" check wrong.lua
expect 1 '[1-9] failed$' "$neap" check wrong.lua
sed 's/x:over/x:ower/' ahead.lua >broken.lua
expect 1 'broken.lua:6: error: ' "$neap" check broken.lua
# a history without a limit is given one that serves
cat >history.lua <<'L'
local T, V, D, W = axis "T", axis("V", 160), axis("D", 48), axis("W", 48)
return model {
  build = function()
    local x = gather(weight("model.embed_tokens.weight", { V, D }), input("tokens", { T }, int), V)
    return { y = attention(x, x, x:over(D, W), T, D, causal):as { T, W } }
  end,
}
L
expect 0 '^10 passed, 0 failed' "$neap" check history.lua --weights "$data/hf/llama/model.safetensors"
leaves ahead.lua wrong.lua broken.lua history.lua

expect 0 '^weights: 57 tensors, 569856 numbers, 1139712 bytes$' "$neap" explain gau
expect 0 '^  layers.0.S +f32\[4,64,64\] +at most 65536 bytes' "$neap" explain gau
expect 0 '^  stream: .*gau.lua:[0-9]+: kept between calls' "$neap" explain gau
expect 0 '^entry @step: [0-9]+ groups, ' "$neap" explain gau
expect 0 'bytes in buffers, [0-9]+ in memory, [0-9]+ alive at once' "$neap" explain gau
expect 0 'T\(not loaded\)|\(not loaded\)' "$neap" explain llama
expect 0 '^no step: ' "$neap" explain attn --set causal=false --context 9 --set size.H=2 --set size.K=3 --set size.V=2 --set size.Q=2
leaves

expect 0 'hf, model_type llama' "$neap" info "$data/hf/llama"
expect 0 '^  hidden_size = 48$' "$neap" info "$data/hf/llama"
expect 0 '^57 tensors, 569856 numbers' "$neap" info "$root/models/gau/model.safetensors"
expect 0 '^  params: ' "$neap" info "$data/mixers/gla-mild.safetensors"
expect 0 'gau, weights included|gau  .*weights included' "$neap" models
expect 1 'nope: error: cannot open' "$neap" info nope
: >empty
expect 1 'empty: error: ' "$neap" info empty
printf 'GGUF1234' >x.gguf
expect 1 'x.gguf: error: is a GGUF file' "$neap" info x.gguf
printf 'dim T in 1..4 time\nfn @f(%%x f32[T]) {\n  %%y f32[T] = exp %%x\n  ret %%y\n}\n' >m.np
expect 0 '@f: 1 inputs, 0 states, 1 outputs' "$neap" info m.np
printf 'fn @f(' >bad.np
expect 1 'bad.np:1: error: ' "$neap" info bad.np
printf 'neap st\001' >cut.state
expect 1 'cut.state: error: a saved state that is cut off' "$neap" info cut.state
leaves empty x.gguf m.np bad.np cut.state
finish
