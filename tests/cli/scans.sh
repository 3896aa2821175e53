#!/bin/bash
# Scans that are not what the chunked form is made for: bodies that are not affine, decays that may grow, have a sign or are
# no logarithms, scans from the end, over short sequences, several in one model. Each form that there is gives what is described.
. "$(dirname "$0")/lib.sh"

mixer() { # NAME STATE BODY: a model of q, k [B,T,H,K], v [B,T,H,V], g [B,T,H], with a state of those axes
    cat >"$1.lua" <<L
local B, T, H, K, V = axes "B T H K V"
return model {
  build = function()
    local q, k = input("q", { B, T, H, K }), input("k", { B, T, H, K })
    local v, g = input("v", { B, T, H, V }), input("g", { B, T, H })
    local o, last = scan(T, { S = zeros { $2 } }, function(s)
      $3
    end)
    return { o = o, state = last.S }
  end,
}
L
}
proved() { # NAME [OPTION..]
    expect 0 '^[0-9]+ passed, 0 failed' timeout 120 "$neap" check "$@"
}

# not affine: a norm, an activation, a product of the state with itself, a maximum; and affine only in part
mixer norm "B, H, K, V" 'local S = rms(s.S, V, 1e-6) + k * v; return dot(q, S, K), { S = S }'
mixer tanh "B, H, K, V" 'local S = tanh(s.S + k * v); return dot(q, S, K), { S = S }'
mixer square "B, H, K, V" 'local S = 0.5 * s.S * s.S + k * v; return dot(q, S, K), { S = S }'
mixer highest "B, H, K, V" 'local S = maximum(s.S, k * v); return dot(q, S, K), { S = S }'
mixer gate "B, H, K, V" 'local S = sigmoid(dot(q, s.S, K)) * s.S + k * v; return dot(q, S, K), { S = S }'
mixer written "B, H, K, V" 'local S = s.S + k * tanh(v - dot(s.S, k, K)); return dot(q, S, K), { S = S }'
for m in norm tanh square highest gate written; do proved $m.lua; done
for m in norm written; do
    proved $m.lua --chunk 7
    expect 0 "chunk: $m.lua:[67]: " "$neap" explain $m.lua --chunk 16 --set size.H=2 --set size.K=3 --set size.V=4
done
# decays: growth, a value with a sign, exactly 0 or 1, squared; none at all; a state that is replaced
mixer grows "B, H, K, V" 'local S = exp(abs(g)) * s.S + k * v; return dot(q, S, K), { S = S }'
mixer may_grow "B, H, K, V" 'local S = exp(2 * g) * s.S + k * v; return dot(q, S, K), { S = S }'
mixer signed "B, H, K, V" 'local S = 2 * g * s.S + k * v; return dot(q, S, K), { S = S }'
mixer switched "B, H, K, V" 'local S = where(lt(g, 0), 0, 1) * s.S + k * v; return dot(q, S, K), { S = S }'
mixer chosen "B, H, K, V" 'local S = where(lt(g, 0), s.S, k * v); return dot(q, S, K), { S = S }'
mixer replaced "B, H, K, V" 'local S = k * v; return dot(q, s.S + S, K), { S = S }'
mixer kept "B, H, K, V" 'local S = s.S + k * v; return dot(q, s.S, K) + dot(q, S, K), { S = S }'
mixer twice "B, H, K, V" 'local S = sigmoid(g) * (exp(-abs(g)) * s.S + k * v) + q * v; return dot(q, S, K), { S = S }'
mixer number "B, H" 'local S = sigmoid(g) * s.S + dot(k, q, K); return S * v, { S = S }'
for m in grows may_grow signed switched chosen replaced kept twice number; do proved $m.lua; done
leaves norm.lua tanh.lua square.lua highest.lua gate.lua written.lua grows.lua may_grow.lua signed.lua switched.lua chosen.lua replaced.lua kept.lua twice.lua number.lua

# several states: one written from another, mixed, one after the other; two scans in a row; from the end; over an axis that is not time
cat >momentum.lua <<'L'
local B, T, H, K, V = axes "B T H K V"
return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local a, b = sigmoid(input("a", { B, T, H })), sigmoid(input("b", { B, T, H }))
    local o, last = scan(T, { S = zeros { B, H, K, V }, M = zeros { B, H, K, V } }, function(s)
      local M = a * s.M + k * (v - dot(s.S, k, K))
      local S = b * s.S + 0.1 * M
      return dot(q, S, K), { S = S, M = M }
    end)
    return { o = o, S = last.S, M = last.M }
  end,
}
L
cat >rows.lua <<'L'
local B, T, D = axes "B T D"
return model {
  build = function()
    local x, g = input("x", { B, T, D }), sigmoid(input("g", { B, T, D }))
    local y = scan(T, { S = zeros { B, D } }, function(s) local S = g * s.S + x; return S, { S = S } end)
    local z = scan(T, { S = zeros { B, D } }, function(s) local S = (1 - g) * s.S + y; return S, { S = S } end)
    return { z = z }
  end,
}
L
cat >back.lua <<'L'
local B, T, H, K, V = axes "B T H K V"
return model {
  build = function()
    local q, k, v = input("q", { B, T, H, K }), input("k", { B, T, H, K }), input("v", { B, T, H, V })
    local g = input("g", { B, T, H })
    local o = scan_back(T, { S = zeros { B, H, K, V } }, function(s)
      local S = exp(g) * s.S + k * v
      return dot(q, S, K), { S = S }
    end)
    return { o = o }
  end,
}
L
cat >across.lua <<'L'
local B, T, D, E = axis "B", axis "T", axis("D", 9), axis("E", 3)
return model {
  build = function()
    local x = input("x", { B, T, D, E })
    local y = scan(D, { S = zeros { B, T, E } }, function(s) local S = 0.5 * s.S + x; return S, { S = S } end)
    return { y = y }
  end,
}
L
# a dozen states that are called alike, in capitals and as what is ours
cat >alike.lua <<'L'
local B, T, D = axes "B T D"
return model {
  build = function()
    local x = input("x", { B, T, D })
    for i = 1, 12 do
      x = scan(T, { STATE = zeros { B, D }, np_x = zeros { B, D } }, function(s)
        local S = 0.5 * s.STATE + x
        return S, { STATE = S, np_x = 0.5 * s.np_x + S }
      end)
    end
    return { x = x }
  end,
}
L
for m in momentum rows back across alike; do proved $m.lua; done
expect 0 'no step: ' "$neap" check back.lua
proved back.lua --chunk 5
leaves momentum.lua rows.lua back.lua across.lua alike.lua
# as many axes as there may be: a state that is read by a matrix has none left for the steps of a chunk
cat >axes.lua <<'L'
local T, A, B, C, D, E, F, N, O = axis "T", axis("A", 2), axis("X", 2), axis("C", 2), axis("D", 1), axis("E", 1), axis("F", 1), axis("N", 64), axis("O", 64)
return model {
  build = function()
    local x, g = input("x", { T, A, B, C, D, E, F, N }), sigmoid(input("g", { A, B, C, D, E, F, N }))
    local o = scan(T, { S = zeros { A, B, C, D, E, F, N } }, function(s)
      local S = g * s.S + x
      return dot(input("M", { O, N }), S, N), { S = S }
    end)
    return { o = o }
  end,
}
L
proved axes.lua
leaves axes.lua
finish
