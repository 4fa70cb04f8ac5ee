"""Prints the routes of Seldon's wrapper, of its port for predictions: METHOD PATH"""

from Iris import Iris
from seldon_core.metrics import SeldonMetrics
from seldon_core.wrapper import get_rest_microservice

routes = get_rest_microservice(Iris(), SeldonMetrics()).url_map
for route in routes.iter_rules():
    for method in sorted(route.methods):
        print(method, route.rule)
