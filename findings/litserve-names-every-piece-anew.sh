#!/usr/bin/env bash
# LitServe 0.2.19 (OpenAISpec, Python 3.10 to 3.12): in a streamed chat completion every chunk has an `id` of its own.
# OpenAI's API, which it follows, gives all chunks of an answer the same one, so a client or proxy that puts
# answers together by `id` sees as many answers as there are words. A whole answer has no such trouble.
#
# Seen:
#   5 chunks, 5 different ids: chatcmpl-40214a chatcmpl-ca2cb4 chatcmpl-73684c ...   (the text is right: It is red)
# Exit status: 0 if that is what it does, 1 if not.
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill -KILL -- "-$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check litserve==0.2.19
cat > serve.py <<'PY'
import sys
import litserve


class Chat(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, prompt):
        yield from ["It", " is", " ", "red"]


if __name__ == "__main__":
    server = litserve.LitServer(Chat(spec=litserve.OpenAISpec()), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
PY
port=$(venv/bin/python -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
set -m
venv/bin/python serve.py "$port" > server.log 2>&1 &
server=$!
set +m
timeout 120 venv/bin/python - "$port" <<'PY' || { tail -5 server.log; exit 1; }
import json, sys, time, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(90):
    try:
        urllib.request.urlopen(f"{base}/health", timeout=5).read()
        break
    except OSError:
        time.sleep(1)
question = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "which colour?"}]}
request = urllib.request.Request(f"{base}/v1/chat/completions", json.dumps(question).encode(),
                                 {"content-type": "application/json"})
with urllib.request.urlopen(request, timeout=30) as answer:
    lines = answer.read().decode().splitlines()
chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
ids = {chunk["id"] for chunk in chunks}
text = "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks)
print(f"{len(chunks)} chunks, {len(ids)} different ids: {' '.join(chunk['id'] for chunk in chunks)}   "
      f"(the text is right: {text})")
sys.exit(0 if len(chunks) > 2 and len(ids) == len(chunks) and text == "It is red" else 1)
PY
