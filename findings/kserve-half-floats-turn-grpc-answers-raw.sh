#!/usr/bin/env bash
# KServe's Python SDK 0.21.0 (Python 3.10 to 3.12): by gRPC one output of half floats (FP16) turns the whole answer
# raw. The client asked with typed tensors, and the FP64 output beside it, which was in `fp64_contents` before, is
# then in raw_output_contents as well. By REST the very same answer is refused with 400. So a model that starts to
# return one more tensor breaks callers that read another one, or all callers of REST.
#
# Seen:
#   FP64 alone, gRPC:     typed [0.1, 0.9]
#   FP64 and FP16, gRPC:  typed [], raw 9a9999999999b93fcdccccccccccec3f 0038
#   FP64 and FP16, REST:  400 {"error":"Sending FP16 data via JSON is not supported. Please use the binary data ..."}
# Exit status: 0 if that is what it does, 1 if not.
set -euo pipefail
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check kserve==0.21.0
read -r http rpc < <(venv/bin/python -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
cat > serve.py <<'PY'
import sys
import grpc.aio._server
import numpy
import uvicorn
from kserve import InferOutput, InferResponse, Model, ModelServer

# The SDK listens on every address of the machine; here on loopback only.
web, bind = uvicorn.Config, grpc.aio._server.Server.add_insecure_port
uvicorn.Config = lambda app, **options: web(app, **{**options, "host": "127.0.0.1"})
grpc.aio._server.Server.add_insecure_port = lambda s, a: bind(s, a.replace("[::]", "127.0.0.1"))


class Pair(Model):
    def __init__(self, name, half):
        super().__init__(name)
        self.half, self.ready = half, True

    def predict(self, payload, headers=None, response_headers=None):
        outputs = [InferOutput("p", [2], "FP64", [0.1, 0.9])]
        if self.half:
            outputs.append(InferOutput("h", [1], "FP16"))
            outputs[1].set_data_from_numpy(numpy.array([0.5], dtype=numpy.float16), binary_data=True)
        return InferResponse("1", self.name, outputs)


ModelServer(http_port=int(sys.argv[1]), grpc_port=int(sys.argv[2])).start(
    [Pair("double", False), Pair("both", True)]
)
PY
venv/bin/python serve.py "$http" "$rpc" > server.log 2>&1 &
server=$!
timeout 120 venv/bin/python - "$http" "$rpc" <<'PY' || { tail -5 server.log; exit 1; }
import json, sys, urllib.error, urllib.request
import grpc
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

http, rpc = sys.argv[1:]
stub = GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{rpc}"))
stub.ServerLive(pb.ServerLiveRequest(), wait_for_ready=True, timeout=90)

def ask(model):
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1])
    tensor.contents.fp64_contents.append(1.0)
    return stub.ModelInfer(pb.ModelInferRequest(model_name=model, inputs=[tensor]), timeout=30)

alone, both = ask("double"), ask("both")
typed, raw = list(both.outputs[0].contents.fp64_contents), [r.hex() for r in both.raw_output_contents]
print("FP64 alone, gRPC:     typed", list(alone.outputs[0].contents.fp64_contents))
print("FP64 and FP16, gRPC:  typed", f"{typed}, raw", *raw)
question = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}]}
request = urllib.request.Request(f"http://127.0.0.1:{http}/v2/models/both/infer",
                                 json.dumps(question).encode(), {"content-type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        status, text = answer.status, answer.read()
except urllib.error.HTTPError as error:
    status, text = error.code, error.read()
print("FP64 and FP16, REST: ", status, text.decode()[:120])
as_described = (
    list(alone.outputs[0].contents.fp64_contents) == [0.1, 0.9]
    and not alone.raw_output_contents
    and not typed
    and len(raw) == 2
    and status == 400
)
sys.exit(0 if as_described else 1)
PY
