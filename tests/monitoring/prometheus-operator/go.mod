module modelgate.test/prometheus-operator

go 1.26.0

// No program: its definitions of resources.
require github.com/prometheus-operator/prometheus-operator v0.92.1
