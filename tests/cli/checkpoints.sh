#!/bin/bash
# Checkpoints as MODEL: keys of a config that change the result, keys that are refused, older spellings, other containers.
. "$(dirname "$0")/lib.sh"
tokens t 3 14 159 26 53 58 97

# folder FROM SED..: ./m is a checkpoint of the test data with an edited config
folder() {
    local from=$1
    shift
    rm -rf m && mkdir m && ln -s "$data/hf/$from/model.safetensors" m && sed "$@" "$data/hf/$from/config.json" >m/config.json
}
refused() { # KEY VALUE FROM: the value is not supported, and only that is said
    folder "$3" "s/\"model_type\"/\"$1\": $2, \"model_type\"/"
    expect 1 "m/config.json: error: $1 (is|says) $(tr -d '"' <<<"$2")" "$neap" eval m --in t
    if [ "$(grep -c error "$work/printed")" = 1 ]; then good; else bad "one error for $1"; fi
}
changes() { # FROM SED..: the edited config gives another result
    local from=$1
    shift
    "$neap" eval "$data/hf/$from" --in t -o plain >/dev/null || bad "$from"
    folder "$from" "$@"
    expect 0 '' "$neap" eval m --in t -o other
    if cmp -s plain other; then bad "$from: $* changes nothing"; else good; fi
}

refused hidden_act '"maxout"' llama
refused hidden_act '"maxout"' mamba
refused position_embedding_type '"relative_key"' bert
sed_type='s/"rope_type": "default"/"rope_type": "longrope"/'
folder mistral "$sed_type"
expect 1 'm/config.json: error: rope_parameters.rope_type is longrope; allowed: default, linear' "$neap" eval m --in t
folder bert 's/"is_decoder": false/"is_decoder": true/'
expect 1 'm/config.json: error: is_decoder is true; allowed: false' "$neap" eval m --in t
folder qwen3 's/"full_attention"/"chunked_attention"/'
expect 1 'layer_types says chunked_attention for layer 0; there are full_attention' "$neap" eval m --in t
folder qwen3 's/"full_attention"/"sliding_attention"/'
expect 1 'layer_types says sliding_attention for layer 0, and sliding_window is not set' "$neap" eval m --in t
folder mamba 's/"time_step_rank": 5/"time_step_rank": 6/'
expect 1 'weight backbone.layers.0.mixer.x_proj.weight is \[30,96\] in the model and \[29,96\] in' "$neap" eval m --in t

folder mixtral 's/"num_experts_per_tok": 2/"num_experts_per_tok": 0/'
expect 1 'm/config.json: error: num_experts_per_tok is 0; allowed: 1 to 4096' "$neap" eval m --in t
folder mistral 's/"num_key_value_heads": 2/"num_key_value_heads": 4/'
expect 1 '6 heads do not share 4 key heads evenly' "$neap" eval m --in t
folder mistral 's/"sliding_window": 16/"sliding_window": -1/'
expect 1 'm/config.json: error: sliding_window is -1; allowed: 0 to' "$neap" eval m --in t

changes mistral 's/"sliding_window": 16/"sliding_window": 3/'
changes qwen3 -e 's/"sliding_window": null/"sliding_window": 3/' -e 's/"full_attention",/"sliding_attention",/'
changes mixtral 's/"num_experts_per_tok": 2/"num_experts_per_tok": 3/'
changes mixtral 's/"hidden_act": "silu"/"hidden_act": "gelu"/'
changes gpt_neox 's/"use_parallel_residual": true/"use_parallel_residual": false/'
changes gpt_neox 's/"partial_rotary_factor": 0.5/"partial_rotary_factor": 1.0/'
changes gpt_neox 's/"layer_norm_eps": 1e-05/"layer_norm_eps": 0.1/'
changes mamba2 's/"__float__": "Infinity"/"__float__": "-Infinity"/'
changes rwkv 's/"rescale_every": 6/"rescale_every": 1/'
changes llama3-rope 's/"factor": 8.0/"factor": 4.0/'
changes bert 's/"hidden_act": "gelu"/"hidden_act": "relu"/'

# the older spelling of rotary settings says the same
"$neap" eval "$data/hf/llama3-rope" --in t -o plain
folder llama3-rope -e 's/"rope_parameters"/"rope_theta": 50000.0, "rope_scaling"/' -e '/"rope_theta": 50000.0,$/d'
expect 0 '' "$neap" eval m --in t -o other
same plain other
"$neap" eval "$data/hf/gpt_neox" --in t -o plain
folder gpt_neox -e '/"rope_parameters"/,/}/d' -e 's/"rope_parameters"//' -e 's/"model_type"/"rotary_pct": 0.5, "rotary_emb_base": 10000, "model_type"/'
expect 0 '' "$neap" eval m --in t -o other
same plain other

# an encoder has no step
expect 1 'no step: max over all positions' "$neap" eval "$data/hf/bert" --in t --split 2
expect 0 '^no step: ' "$neap" explain "$data/hf/bert"
leaves m other plain t

# ggmf: told by the first bytes, the model by its tensors; what is cut off or quantized
tokens t 34 105 110
tiny=$shared/data/rwkv/tiny-rwkv-4v0-660K-FP32.bin
if [ -e "$tiny" ]; then
    for v in 4v0-660K 5v2-730K 7v0-834K; do
        expect 0 '^logits f32\[3,256\]' "$neap" eval "${tiny/4v0-660K/$v}" --in t
        expect 0 '^logits f32\[3,256\]' "$neap" eval "${tiny/4v0-660K/$v}" --in t --split 2
    done
    expect 0 ': ggmf$' "$neap" info "$tiny"
    head -c 100000 "$tiny" >cut.bin
    expect 1 'cut.bin: error: tensor 0 of the file: emb.weight takes 131072 bytes and .* is it cut off' "$neap" eval cut.bin --in t
    { head -c 20 "$tiny"; le 4 7; } >q.bin
    expect 1 'q.bin: error: its data is quantized \(Q5_0\)' "$neap" eval q.bin --in t
else
    skip "the ggmf files are absent"
fi
{ le 4 $((0x67676d66)); le 4 101; le 4 7; le 4 3; le 4 2; le 4 0; le 4 1; le 4 1; le 4 0; le 4 2; printf v; le 8 0; } >alien.bin
expect 1 'alien.bin: error: does not say which model it belongs to, and no model knows it by its tensors' "$neap" eval alien.bin --in t
rm -f cut.bin q.bin
leaves alien.bin t
finish
