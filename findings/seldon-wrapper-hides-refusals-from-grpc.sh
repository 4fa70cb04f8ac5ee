#!/usr/bin/env bash
# Seldon Core's Python wrapper 1.17.1 (Python 3.9 to 3.12): a model that refuses an input with its own error class
# and status 422 is heard by REST (HTTP 422). By gRPC the same refusal is UNKNOWN, as is a crash of the model: no
# code tells "your input is wrong" from "the model is broken", so whoever retries on UNKNOWN retries refusals, and
# whoever counts it as a failure counts good refusals.
#
# Seen:
#   refusal:  REST 422, gRPC UNKNOWN
#   crash:    REST 500, gRPC UNKNOWN
# Exit status: 0 if that is what it does, 1 if not.
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  # The wrapper is several processes, of a group of their own.
  [ -z "$server" ] || kill -KILL -- "-$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check seldon-core==1.17.1 'setuptools<81'
read -r http rpc metrics < <(venv/bin/python -c '
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
cat > Picky.py <<'PY'
import flask


class Refusal(Exception):
    status_code = 422

    def to_dict(self):
        return {"status": {"status": 1, "info": "not a flower", "code": 422, "reason": "REFUSED"}}


class Picky:
    model_error_handler = flask.Blueprint("errors", __name__)

    @model_error_handler.app_errorhandler(Refusal)
    def refuse(error):
        answer = flask.jsonify(error.to_dict())
        answer.status_code = error.status_code
        return answer

    def predict(self, X, features_names=None):
        if X[0][0] < 0:
            raise Refusal()
        raise ValueError("a defect of the model")
PY
# The wrapper listens on every address of the machine; here on loopback only.
sed -i.bak 's/0\.0\.0\.0/127.0.0.1/g' venv/lib/python3*/site-packages/seldon_core/microservice.py
set -m
PYTHONPATH=. venv/bin/seldon-core-microservice Picky --service-type MODEL --http-port "$http" \
  --grpc-port "$rpc" --metrics-port "$metrics" > server.log 2>&1 &
server=$!
set +m
timeout 120 venv/bin/python - "$http" "$rpc" <<'PY' || { tail -5 server.log; exit 1; }
import json, sys, time, urllib.error, urllib.request
import grpc
from seldon_core.proto import prediction_pb2 as pb, prediction_pb2_grpc

http, rpc = sys.argv[1:]
for _ in range(90):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{http}/health/ping", timeout=5).read()
        break
    except OSError:
        time.sleep(1)
channel = grpc.insecure_channel(f"127.0.0.1:{rpc}")
grpc.channel_ready_future(channel).result(timeout=60)
stub = prediction_pb2_grpc.SeldonStub(channel)

def by_rest(value):
    question = json.dumps({"data": {"ndarray": [[value]]}}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{http}/api/v1.0/predictions", question,
                                     {"content-type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code

def by_grpc(value):
    tensor = pb.Tensor(shape=[1, 1], values=[value])
    try:
        stub.Predict(pb.SeldonMessage(data=pb.DefaultData(tensor=tensor)), timeout=30)
        return "OK"
    except grpc.RpcError as error:
        return error.code().name

refusal, crash = (by_rest(-1.0), by_grpc(-1.0)), (by_rest(1.0), by_grpc(1.0))
print(f"refusal:  REST {refusal[0]}, gRPC {refusal[1]}")
print(f"crash:    REST {crash[0]}, gRPC {crash[1]}")
sys.exit(0 if (refusal, crash) == ((422, "UNKNOWN"), (500, "UNKNOWN")) else 1)
PY
