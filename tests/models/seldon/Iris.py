"""The iris model for Seldon's Python wrapper.

Where it is told its image, as Seldon's operator does, it says so in every answer, and how often it was asked.
"""

import json
import os

import numpy


class Iris:
    def __init__(self):
        with open("iris.json") as file:
            iris = json.load(file)
        weights = iris[os.environ.get("IRIS_WEIGHTS", "main")]
        self.class_names = iris["classes"]
        self._coefficients = numpy.array(weights["coefficients"])
        self._intercepts = numpy.array(weights["intercepts"])
        self._image = os.environ.get("PREDICTIVE_UNIT_IMAGE")
        self._asked = 0

    def predict(self, X, features_names=None):
        self._asked += 1
        scores = numpy.asarray(X, dtype=float) @ self._coefficients.T + self._intercepts
        parts = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)

    def tags(self):
        return {"image": self._image} if self._image else {}

    def metrics(self):
        asked = {"type": "GAUGE", "key": "asked", "value": self._asked}
        return [asked] if self._image else []
