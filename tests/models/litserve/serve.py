"""Serves the iris model with LitServe, by its own API and by OpenAI's: serve.py PORT main|shadow"""

import json
import math
import sys

import litserve


class Weights:
    def __init__(self, name):
        with open("iris.json") as file:
            iris = json.load(file)
        self.classes = iris["classes"]
        self._rows = list(zip(iris[name]["coefficients"], iris[name]["intercepts"]))

    def probabilities(self, flower):
        scores = [sum(w * x for w, x in zip(row, flower)) + b for row, b in self._rows]
        parts = [math.exp(score - max(scores)) for score in scores]
        return [part / sum(parts) for part in parts]


class Iris(litserve.LitAPI):
    def setup(self, device):
        self.model = Weights(sys.argv[2])

    def predict(self, request):
        return {"predictions": [self.model.probabilities(flower) for flower in request["instances"]]}


class Chat(litserve.LitAPI):
    """Names the flower whose measures it is told."""

    def setup(self, device):
        self.model = Weights(sys.argv[2])

    def predict(self, prompt):
        flower = [float(word) for word in prompt.messages[-1].content.split()]
        probabilities = self.model.probabilities(flower)
        for word in ("It", " is", " ", self.model.classes[probabilities.index(max(probabilities))]):
            yield word


if __name__ == "__main__":
    server = litserve.LitServer([Iris(), Chat(spec=litserve.OpenAISpec())], accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
