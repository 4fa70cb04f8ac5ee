"""Makes main.joblib and shadow.joblib, scikit-learn classifiers with the weights of iris.json."""

import json

import joblib
import numpy
from sklearn.linear_model import LogisticRegression

with open("iris.json") as file:
    iris = json.load(file)
for name in ("main", "shadow"):
    model = LogisticRegression()
    model.classes_ = numpy.arange(len(iris["classes"]))
    model.coef_ = numpy.array(iris[name]["coefficients"])
    model.intercept_ = numpy.array(iris[name]["intercepts"])
    model.n_features_in_ = model.coef_.shape[1]
    joblib.dump(model, f"{name}.joblib")
