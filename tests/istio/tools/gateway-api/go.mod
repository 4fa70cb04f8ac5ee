module modelgate.test/gateway-api

go 1.26.0

// No program: its definitions of resources.
require sigs.k8s.io/gateway-api v1.6.0
