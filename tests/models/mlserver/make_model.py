"""Makes iris.joblib, a scikit-learn classifier with the weights of iris.json: make_model.py main|shadow"""

import json
import sys

import joblib
import numpy
from sklearn.linear_model import LogisticRegression

with open("iris.json") as file:
    weights = json.load(file)[sys.argv[1]]
model = LogisticRegression()
model.classes_ = numpy.arange(len(weights["intercepts"]))
model.coef_ = numpy.array(weights["coefficients"])
model.intercept_ = numpy.array(weights["intercepts"])
model.n_features_in_ = model.coef_.shape[1]
joblib.dump(model, "iris.joblib")
