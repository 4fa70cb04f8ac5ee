"""The iris model as MLflow loads it from code: probabilities of the classes."""

import json

import mlflow
import numpy


class Iris(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["weights"]) as file:
            weights = json.load(file)[context.model_config["weights"]]
        self._coefficients = numpy.array(weights["coefficients"])
        self._intercepts = numpy.array(weights["intercepts"])

    def predict(self, context, model_input, params=None):
        scores = numpy.asarray(model_input, dtype=float) @ self._coefficients.T + self._intercepts
        parts = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        return parts / parts.sum(axis=1, keepdims=True)


mlflow.models.set_model(Iris())
