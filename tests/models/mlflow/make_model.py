"""Makes the folder `model`, an MLflow model with the weights of iris.json: make_model.py main|shadow"""

import sys

import mlflow

mlflow.pyfunc.save_model(
    "model",
    python_model="iris.py",
    artifacts={"weights": "iris.json"},
    model_config={"weights": sys.argv[1]},
    pip_requirements=[],
)
