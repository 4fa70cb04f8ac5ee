"""Asks a model with KServe's own clients: client.py HOST:PORT HOST MODEL v1|v2|binary|grpc FLOWERS

FLOWERS is a JSON list. Prints the answer about each flower as a line of JSON, a list of numbers.
"""

import asyncio
import json
import sys

import numpy
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig

address, host, model, form, flowers = sys.argv[1:]


def question(flower):
    binary = form in ("binary", "grpc")
    tensor = InferInput("flower", [1, 4], "FP64")
    tensor.set_data_from_numpy(numpy.array([flower]), binary_data=binary)
    parameters = {"binary_data_output": True} if form == "binary" else None
    return InferRequest(
        model_name=model,
        infer_inputs=[tensor],
        parameters=parameters,
    )


async def ask(flower):
    if form == "grpc":
        channel = [("grpc.default_authority", host)]
        client = InferenceGRPCClient(address, channel_args=channel)
        answer = await client.infer(question(flower))
        return answer.outputs[0].as_numpy()[0].tolist()
    client = InferenceRESTClient(RESTConfig(protocol="v1" if form == "v1" else "v2", retries=0))
    data = {"instances": [flower]} if form == "v1" else question(flower)
    answer = await client.infer(f"http://{address}", data, model, headers={"host": host})
    if form == "v1":
        return answer["predictions"][0]
    return answer.outputs[0].as_numpy()[0].tolist()


for flower in json.loads(flowers):
    print(json.dumps(asyncio.run(ask(flower))))
