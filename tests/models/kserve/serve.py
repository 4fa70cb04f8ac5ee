"""Serves the iris model with KServe's Python SDK: serve.py HTTP_PORT GRPC_PORT NAME=WEIGHTS...

The SDK listens on every address of the machine and has no option for another one: what it asks of its web
server and of gRPC is replaced here.
"""

import json
import sys
import uuid

import grpc.aio._server
import numpy
import uvicorn
from kserve import InferOutput, InferResponse, Model, ModelServer

web_server, bind = uvicorn.Config, grpc.aio._server.Server.add_insecure_port
uvicorn.Config = lambda app, **options: web_server(app, **{**options, "host": "127.0.0.1"})
grpc.aio._server.Server.add_insecure_port = lambda server, address: bind(
    server, address.replace("[::]", "127.0.0.1")
)

with open("iris.json") as file:
    IRIS = json.load(file)


class Iris(Model):
    def __init__(self, name, weights):
        super().__init__(name)
        self._coefficients = numpy.array(IRIS[weights]["coefficients"])
        self._intercepts = numpy.array(IRIS[weights]["intercepts"])
        self.ready = True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, dict):
            return self._v1(payload)
        probabilities = self._probabilities(payload.inputs[0].as_numpy())
        outputs = []
        asked = [output.name for output in payload.request_outputs or []]
        for name in asked or ["predict_proba"]:
            if name == "label":
                labels = [IRIS["classes"][row.argmax()] for row in probabilities]
                values, datatype = numpy.array(labels, dtype=numpy.object_), "BYTES"
            elif name == "predict":
                values, datatype = probabilities.argmax(axis=1), "INT64"
            else:
                values, datatype = probabilities, "FP64"
            outputs.append(InferOutput(name, list(values.shape), datatype))
            outputs[-1].set_data_from_numpy(values, binary_data=payload.use_binary_outputs)
        return InferResponse(
            response_id=payload.id or str(uuid.uuid4()),
            model_name=self.name,
            infer_outputs=outputs,
            use_binary_outputs=payload.use_binary_outputs,
        )

    def _v1(self, payload):
        probabilities = self._probabilities(payload["instances"])
        form = payload.get("signature_name")
        if form == "stream":
            return self._lines(probabilities)
        if form == "predict":
            return {"predictions": probabilities.argmax(axis=1).tolist()}
        return {"predictions": probabilities.tolist()}

    def explain(self, payload, headers=None):
        """The weights of the features in the chosen class."""
        rows = self._probabilities(payload["instances"]).argmax(axis=1)
        return {"explanations": self._coefficients[rows].tolist()}

    def _probabilities(self, flowers):
        scores = numpy.asarray(flowers, dtype=float) @ self._coefficients.T + self._intercepts
        parts = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)

    @staticmethod
    async def _lines(probabilities):
        for number in probabilities.ravel().tolist():
            yield json.dumps(number) + "\n"


class HuggingFaceTimeSeriesModel(Model):
    """For a model whose class has this name the SDK adds its routes of forecasts. This one makes none."""

    def load(self):
        self.ready = True
        return self.ready


http, rpc, *models = sys.argv[1:]
forecasts = HuggingFaceTimeSeriesModel("forecasts")
forecasts.load()
ModelServer(http_port=int(http), grpc_port=int(rpc), workers=1).start(
    [Iris(*model.split("=")) for model in models] + [forecasts]
)
