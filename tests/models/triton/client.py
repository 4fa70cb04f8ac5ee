"""Asks a model with Triton's gRPC client, which sends tensors raw: client.py HOST:PORT MODEL FLOWERS [NAME=VALUE...]

FLOWERS is a JSON list, and what follows are headers. Prints the answer about each flower as a line of JSON,
a list of numbers.
"""

import json
import sys

import numpy
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

address, model, flowers, *headers = sys.argv[1:]
client = InferenceServerClient(address)
for flower in json.loads(flowers):
    tensor = InferInput("flower", [1, 4], "FP64")
    tensor.set_data_from_numpy(numpy.array([flower]))
    answer = client.infer(
        model,
        [tensor],
        outputs=[InferRequestedOutput("predict_proba")],
        headers=dict(header.split("=", 1) for header in headers),
        client_timeout=30,
    )
    print(json.dumps(answer.as_numpy("predict_proba")[0].tolist()))
