#!/usr/bin/env bash
# MLflow 3.17.2 (`mlflow models serve`, Python 3.10 to 3.12): a model that fails, here because it divides by zero, is
# answered with 400 BAD_REQUEST, not with 500, and the answer holds the stack trace of the model's code, with paths
# of the server's files. Alarms on 5xx never see a broken model, and callers are told that they were wrong.
#
# Seen:
#   {"inputs": [1.0]}:  200 {"predictions": [1.0]}
#   {"inputs": [0.0]}:  400 BAD_REQUEST, a stack trace with: ZeroDivisionError: float division by zero
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
venv/bin/pip install --quiet --disable-pip-version-check mlflow-skinny==3.17.2 numpy pandas
cat > inverse.py <<'PY'
import mlflow


class Inverse(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [1.0 / float(value) for value in model_input]


mlflow.models.set_model(Inverse())
PY
venv/bin/python -W ignore -c '
import mlflow
mlflow.pyfunc.save_model("model", python_model="inverse.py", pip_requirements=[])' 2> save.log
port=$(venv/bin/python -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
set -m
PATH="$PWD/venv/bin:$PATH" venv/bin/mlflow models serve --model-uri model --env-manager local \
  --host 127.0.0.1 --port "$port" > server.log 2>&1 &
server=$!
set +m
timeout 120 venv/bin/python - "$port" <<'PY' || { tail -5 server.log; exit 1; }
import json, sys, time, urllib.error, urllib.request

base = f"http://127.0.0.1:{sys.argv[1]}"
for _ in range(90):
    try:
        urllib.request.urlopen(f"{base}/ping", timeout=5).read()
        break
    except OSError:
        time.sleep(1)

def ask(value):
    request = urllib.request.Request(f"{base}/invocations", json.dumps({"inputs": [value]}).encode(),
                                     {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)

good, bad = ask(1.0), ask(0.0)
trace = str(bad[1].get("stack_trace", ""))
last = trace.strip().splitlines()[-1:] or ["no trace"]
print(f'{{"inputs": [1.0]}}:  {good[0]} {json.dumps(good[1])}')
print(f'{{"inputs": [0.0]}}:  {bad[0]} {bad[1].get("error_code")}, a stack trace with: {last[0]}')
as_described = good[0] == 200 and bad[0] == 400 and "ZeroDivisionError" in trace and "inverse.py" in trace
sys.exit(0 if as_described else 1)
PY
