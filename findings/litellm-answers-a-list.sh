#!/usr/bin/env bash
# LiteLLM's proxy takes a comma in `model` for a list of models, asks each of them, and answers with a JSON array of chat
# completions, which OpenAI's API does not have. OpenAI's own client hands that over as a Python list where it promises a
# completion; a streamed request for the same models ends with 500.
#
# Seen with LiteLLM 1.108.7 and openai 3.57.0 (PyPI), models "a" and "b" that answer by themselves:
#   a          ChatCompletion: ['I am a']
#   a,b        list: ['I am a', 'I am b']
#   a,b as a stream   500
set -euo pipefail
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null; wait; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check "litellm[proxy]==1.108.7" openai==3.57.0

cat > config.yaml <<'YAML'
model_list:
- model_name: a
  litellm_params: {model: openai/a, api_key: none, mock_response: "I am a"}
- model_name: b
  litellm_params: {model: openai/b, api_key: none, mock_response: "I am b"}
YAML
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export KEY=sk-$(python3 -c 'import secrets; print(secrets.token_hex(24))')
LITELLM_MASTER_KEY=$KEY LITELLM_LOCAL_MODEL_COST_MAP=True \
  venv/bin/litellm --config config.yaml --host 127.0.0.1 --port "$port" > log 2>&1 &
pids+=($!)

cat > client.py <<'PYTHON'
import os, sys, time, urllib.request
import openai
address = f"http://127.0.0.1:{sys.argv[1]}"
for attempt in range(300):
    try:
        urllib.request.urlopen(f"{address}/health/liveliness", timeout=5)
        break
    except OSError:
        time.sleep(0.5)
client = openai.OpenAI(base_url=f"{address}/v1", api_key=os.environ["KEY"], max_retries=0)
def ask(model, **more):
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Who?"}], **more)
for model in "a", "a,b":
    answer = ask(model)
    each = answer if isinstance(answer, list) else [answer]
    print(f"{model}  {type(answer).__name__}: {[one.choices[0].message.content for one in each]}")
try:
    print("a,b as a stream ", "".join(chunk.choices[0].delta.content or "" for chunk in ask("a,b", stream=True)))
except openai.APIStatusError as error:
    print("a,b as a stream ", error.status_code)
PYTHON
seen=$(venv/bin/python client.py "$port")
echo "$seen"
[[ $seen == "a  ChatCompletion: ['I am a']"$'\n'"a,b  list: ['I am a', 'I am b']"$'\n'"a,b as a stream  500" ]]
