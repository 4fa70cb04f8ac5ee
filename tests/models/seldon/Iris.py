"""The iris model for Seldon's Python wrapper."""

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

    def predict(self, X, features_names=None):
        scores = numpy.asarray(X, dtype=float) @ self._coefficients.T + self._intercepts
        parts = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)
