#!/usr/bin/env bash
# llama.cpp's server hangs up after every streamed answer, having promised not to: its answer says `Keep-Alive: timeout=5,
# max=100` and no `Connection: close`, ends as chunks should, and the connection is closed at once. Answers that are no stream keep it.
# A proxy that keeps connections for the next request loses some of those: Envoy answers them with 503 (`UC`).
#
# Seen with xllamacpp 2026.10.11549 (llama.cpp's server) and gguf 0.19.0 (PyPI), a tiny model with random weights:
#   whole     answered 3 of 3 on one connection
#   streamed  answered 1 of 3 on one connection; keep-alive: timeout=5, max=100; connection: none
set -euo pipefail
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null; wait; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check xllamacpp==2026.10.11549 gguf==0.19.0 numpy==2.2.6

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
import http.client, json, sys, time, urllib.request
port = int(sys.argv[1])
for attempt in range(120):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
        break
    except OSError:
        time.sleep(0.5)

def ask(stream):
    """How many of three requests one connection answers, and what the first answer says of connections."""
    connection, said = http.client.HTTPConnection("127.0.0.1", port, timeout=30), None
    connection.connect()
    connection.auto_open = False
    for n in range(3):
        body = json.dumps({"model": "tiny", "prompt": "a", "max_tokens": 4, "stream": stream})
        try:
            connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            return n, said
        whole = answer.read()
        assert answer.status == 200 and (b"[DONE]" in whole) == stream, whole
        said = said or [answer.headers.get(name, "none") for name in ("keep-alive", "connection")]
        time.sleep(0.1)
    return 3, said

print(f"whole     answered {ask(False)[0]} of 3 on one connection")
answered, (keep_alive, connection) = ask(True)
print(f"streamed  answered {answered} of 3 on one connection; keep-alive: {keep_alive}; connection: {connection}")
PYTHON
seen=$(venv/bin/python client.py "$port")
echo "$seen"
[[ $seen == "whole     answered 3 of 3 on one connection
streamed  answered 1 of 3 on one connection; keep-alive: timeout=5, max=100; connection: none" ]]
