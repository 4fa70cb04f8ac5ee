"""Asks prod/iris through a gateway with Seldon's own client: client.py HOST:PORT [TOKEN]

Prints a line of JSON for each transport and each form of the data.
"""

import json
import sys

import numpy
from seldon_core.seldon_client import SeldonClient

FLOWER = numpy.array([[6.0, 2.7, 4.2, 1.3]])

endpoint, *token = sys.argv[1:]
headers = {"authorization": f"Bearer {token[0]}"} if token else {}
client = SeldonClient(
    gateway="istio", gateway_endpoint=endpoint, namespace="prod", deployment_name="iris"
)
for transport in ("rest", "grpc"):
    for form in ("tensor", "ndarray"):
        answer = client.predict(
            transport=transport, payload_type=form, data=FLOWER, headers=headers
        )
        said = {"success": answer.success, "message": answer.msg, "response": answer.response}
        print(json.dumps({"transport": transport, "form": form, **said}))
feedback = client.feedback(transport="rest", raw_request={"request": {}, "reward": 1})
print(json.dumps({"transport": "rest", "feedback": feedback.success, "message": feedback.msg}))
