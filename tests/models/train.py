"""Trains the iris classifiers and writes iris.json. Needs scikit-learn; run by hand, rarely.

The shadow saw a third of the flowers, as a model that was retrained on other data.
"""

import json
import pathlib

import numpy
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression


def weights(model):
    return {
        "coefficients": numpy.round(model.coef_, 6).tolist(),
        "intercepts": numpy.round(model.intercept_, 6).tolist(),
    }


def main():
    iris = load_iris()
    live = LogisticRegression(max_iter=1000).fit(iris.data, iris.target)
    shadow = LogisticRegression(max_iter=1000).fit(iris.data[::3], iris.target[::3])
    differ = (live.predict(iris.data) != shadow.predict(iris.data)).mean()
    print(f"accuracy {live.score(iris.data, iris.target):.3f} and "
          f"{shadow.score(iris.data, iris.target):.3f}, classes differ for {differ:.1%}")
    out = {
        "classes": iris.target_names.tolist(),
        "main": weights(live),
        "shadow": weights(shadow),
    }
    path = pathlib.Path(__file__).with_name("iris.json")
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
