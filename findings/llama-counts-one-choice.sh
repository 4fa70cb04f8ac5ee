#!/usr/bin/env bash
# llama.cpp's server counts one choice of several: asked for `n` completions it generates all of them, and `usage` says the
# tokens of one, where OpenAI's API has the sum. As a stream it says `usage` once for each choice, so that whoever takes the
# last one for the answer's, as OpenAI's own client hands it over, has the same part of it.
#
# Seen with xllamacpp 2026.10.11549 (llama.cpp's server), openai 3.57.0 and gguf 0.19.0 (PyPI), a tiny model with random weights
# and four tokens for each choice (`max_tokens: 4`, each ends with `length`):
#   n=1  choices 1, tokens in them 4, usage.completion_tokens 4
#   n=3  choices 3, tokens in them 12, usage.completion_tokens 4
#   n=3 as a stream  pieces 12, usage.completion_tokens [4, 4, 4]
set -euo pipefail
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null; wait; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 openai==3.57.0 gguf==0.19.0 numpy==2.2.6

cat > serve.py <<'PYTHON'
import sys, threading
import gguf, numpy, xllamacpp

width, layers, heads, hidden = 64, 2, 4, 128
words = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
model = gguf.GGUFWriter("model.gguf", "llama")
model.add_context_length(512)
model.add_embedding_length(width)
model.add_block_count(layers)
model.add_feed_forward_length(hidden)
model.add_head_count(heads)
model.add_head_count_kv(heads)
model.add_layer_norm_rms_eps(1e-5)
model.add_rope_dimension_count(width // heads)
model.add_vocab_size(len(words))
model.add_tokenizer_model("llama")
model.add_token_list(words)
model.add_token_scores([0.0] * len(words))
model.add_token_types([2, 3, 3] + [6] * 256)
model.add_bos_token_id(1)
model.add_eos_token_id(2)
random = numpy.random.default_rng(1)

def tensor(name, *shape):
    values = random.standard_normal(shape) * 0.2 if len(shape) > 1 else numpy.ones(shape)
    model.add_tensor(name + ".weight", values.astype(numpy.float32))

tensor("token_embd", len(words), width)
tensor("output_norm", width)
tensor("output", len(words), width)
for layer in range(layers):
    for name, shape in {
        "attn_norm": [width], "ffn_norm": [width], "attn_q": [width, width], "attn_k": [width, width],
        "attn_v": [width, width], "attn_output": [width, width], "ffn_gate": [hidden, width],
        "ffn_up": [hidden, width], "ffn_down": [width, hidden],
    }.items():
        tensor(f"blk.{layer}.{name}", *shape)
model.write_header_to_file()
model.write_kv_data_to_file()
model.write_tensors_to_file()
model.close()

params = xllamacpp.CommonParams()
params.model.path = "model.gguf"
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[1])
params.n_ctx, params.n_parallel, params.ui = 2048, 4, False
server = xllamacpp.Server(params)
threading.Event().wait()
PYTHON
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/python serve.py "$port" > log 2>&1 &
pids+=($!)

cat > client.py <<'PYTHON'
import sys, time, urllib.request
import openai
address = f"http://127.0.0.1:{sys.argv[1]}"
for attempt in range(120):
    try:
        urllib.request.urlopen(f"{address}/health", timeout=5)
        break
    except OSError:
        time.sleep(0.5)
client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0)
# No token ends a choice early, and each is a whole character.
others = [2, *range(3 + 0x80, 3 + 0x100)]
bias = {str(token): -100 for token in others}
ask = {"model": "tiny", "prompt": "a", "max_tokens": 4, "logit_bias": bias, "logprobs": 1}
for n in 1, 3:
    answer = client.completions.create(n=n, **ask)
    assert all(choice.finish_reason == "length" for choice in answer.choices), answer
    tokens = sum(len(choice.logprobs.content) for choice in answer.choices)
    print(f"n={n}  choices {len(answer.choices)}, tokens in them {tokens}, usage.completion_tokens {answer.usage.completion_tokens}")
del ask["logprobs"]
events = list(client.completions.create(n=3, stream=True, stream_options={"include_usage": True}, **ask))
pieces = sum(1 for event in events for choice in event.choices if choice.finish_reason is None)
usage = [event.usage.completion_tokens for event in events if event.usage]
print(f"n=3 as a stream  pieces {pieces}, usage.completion_tokens {usage}")
PYTHON
seen=$(venv/bin/python client.py "$port")
echo "$seen"
[[ $seen == "n=1  choices 1, tokens in them 4, usage.completion_tokens 4
n=3  choices 3, tokens in them 12, usage.completion_tokens 4
n=3 as a stream  pieces 12, usage.completion_tokens [4, 4, 4]" ]]
