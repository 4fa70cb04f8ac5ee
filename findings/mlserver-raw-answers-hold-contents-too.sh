#!/usr/bin/env bash
# MLServer 1.7.1 (grpcio 1.80.1, Python 3.10 to 3.12): asked by gRPC with raw_input_contents, as Triton's client
# always asks, it answers with raw_output_contents, and beside them every output still has its field `contents`,
# present and empty. The Open Inference Protocol has an answer use one of the two, so whoever reads "contents is
# there" as "the values are in it" finds no values, and whoever refuses an answer with both refuses all of them.
#
# Seen:
#   typed question:  contents [0.1, 0.9], raw_output_contents none
#   raw question:    contents present and empty, raw_output_contents 9a9999999999b93fcdccccccccccec3f
#   the output on the wire ends in: 2a00
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
mkdir -p models/twice
cat > models/twice/runtime.py <<'PY'
from mlserver import MLModel
from mlserver.types import InferenceResponse, ResponseOutput


class Twice(MLModel):
    async def predict(self, payload):
        values = ResponseOutput(name="p", shape=[1, 2], datatype="FP64", data=[0.1, 0.9])
        return InferenceResponse(model_name=self.name, outputs=[values])
PY
echo '{"name": "twice", "implementation": "runtime.Twice"}' > models/twice/model-settings.json
venv/bin/python - > models/settings.json <<'PY'
import json, socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
http, grpc, metrics = (s.getsockname()[1] for s in sockets)
print(json.dumps({"host": "127.0.0.1", "http_port": http, "grpc_port": grpc,
                  "metrics_port": metrics, "parallel_workers": 0}))
PY
PYTHONPATH=models/twice venv/bin/mlserver start models > server.log 2>&1 &
server=$!
timeout 120 venv/bin/python - <<'PY' || { tail -5 server.log; exit 1; }
import json, struct, sys
import grpc
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

port = json.load(open("models/settings.json"))["grpc_port"]
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
stub = GRPCInferenceServiceStub(channel)
stub.ModelReady(pb.ModelReadyRequest(name="twice"), wait_for_ready=True, timeout=90)

def ask(raw):
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1, 1])
    request = pb.ModelInferRequest(model_name="twice", inputs=[tensor])
    if raw:
        request.raw_input_contents.append(struct.pack("<d", 1.0))
    else:
        request.inputs[0].contents.fp64_contents.append(1.0)
    return stub.ModelInfer(request, timeout=30)

typed, raw = ask(False), ask(True)
output = raw.outputs[0]
print(f"typed question:  contents {list(typed.outputs[0].contents.fp64_contents)}, "
      f"raw_output_contents {'some' if typed.raw_output_contents else 'none'}")
print(f"raw question:    contents {'present' if output.HasField('contents') else 'absent'} and "
      f"{'filled' if output.contents.ByteSize() else 'empty'}, raw_output_contents "
      f"{raw.raw_output_contents[0].hex() if raw.raw_output_contents else 'none'}")
print(f"the output on the wire ends in: {output.SerializeToString()[-2:].hex()}")
as_described = (
    list(typed.outputs[0].contents.fp64_contents) == [0.1, 0.9]
    and not typed.raw_output_contents
    and output.HasField("contents")
    and output.contents.ByteSize() == 0
    and raw.raw_output_contents[0] == struct.pack("<2d", 0.1, 0.9)
)
sys.exit(0 if as_described else 1)
PY
