#!/usr/bin/env bash
# MLServer 1.7.1 (grpcio 1.80.1, Python 3.10 to 3.12): the same prediction with a value that is not a number is
# answered in three ways. REST writes `null` and says 200, for the infinities too, so the three cannot be told
# apart. gRPC with typed tensors fails with INTERNAL, although the protocol carries such values as they are: a
# model that sometimes says "not a number" works by REST and seems to be down by gRPC.
#
# Seen:
#   REST:  200 [null, null, null, 1.5]
#   gRPC:  INTERNAL must be real number, not NoneType
# Exit status: 0 if that is what it does, 1 if not.
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check mlserver==1.7.1 grpcio==1.80.1 'uvloop<0.22'
mkdir -p models/odd
cat > models/odd/runtime.py <<'PY'
import numpy
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Odd(MLModel):
    async def predict(self, payload):
        values = numpy.array([numpy.nan, numpy.inf, -numpy.inf, 1.5])
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("p", values)]
        )
PY
echo '{"name": "odd", "implementation": "runtime.Odd"}' > models/odd/model-settings.json
venv/bin/python - > models/settings.json <<'PY'
import json, socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
http, grpc, metrics = (s.getsockname()[1] for s in sockets)
print(json.dumps({"host": "127.0.0.1", "http_port": http, "grpc_port": grpc,
                  "metrics_port": metrics, "parallel_workers": 0}))
PY
PYTHONPATH=models/odd venv/bin/mlserver start models > server.log 2>&1 &
server=$!
timeout 120 venv/bin/python - <<'PY' || { tail -5 server.log; exit 1; }
import json, sys, urllib.request
import grpc
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

settings = json.load(open("models/settings.json"))
stub = GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{settings['grpc_port']}"))
stub.ModelReady(pb.ModelReadyRequest(name="odd"), wait_for_ready=True, timeout=90)

question = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
request = urllib.request.Request(
    f"http://127.0.0.1:{settings['http_port']}/v2/models/odd/infer",
    json.dumps(question).encode(), {"content-type": "application/json"})
with urllib.request.urlopen(request, timeout=30) as answer:
    status, text = answer.status, answer.read().decode()
data = json.loads(text)["outputs"][0]["data"]
print(f"REST:  {status} {json.dumps(data)}")

tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1])
tensor.contents.fp64_contents.append(1.0)
code = None
try:
    answer = stub.ModelInfer(pb.ModelInferRequest(model_name="odd", inputs=[tensor]), timeout=30)
    print("gRPC: ", list(answer.outputs[0].contents.fp64_contents))
except grpc.RpcError as error:
    code = error.code()
    print("gRPC: ", code.name, error.details())
sys.exit(0 if data == [None, None, None, 1.5] and code is grpc.StatusCode.INTERNAL else 1)
PY
