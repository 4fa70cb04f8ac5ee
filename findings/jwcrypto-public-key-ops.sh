#!/usr/bin/env bash
# jwcrypto: the public half of a key that was made for signing is exported with `key_ops: ["sign"]`, which a public key
# cannot do. RFC 7517 §4.3 has "verify" for it; who reads `key_ops` strictly cannot use the key.
#
# Seen with jwcrypto 1.6.1 (PyPI):
#   private ['sign'], public ['sign']
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check jwcrypto==1.6.1
seen=$(venv/bin/python - <<'PYTHON'
import json
from jwcrypto import jwk, jwt
key = jwk.JWK.generate(kty="EC", crv="P-256", kid="k", key_ops=["sign"])
token = jwt.JWT(header={"alg": "ES256", "kid": "k"}, claims={"sub": "a"})
token.make_signed_token(key)
public = key.export_public(as_dict=True)
assert "d" not in public
print(f"private {key.export(as_dict=True)['key_ops']}, public {public['key_ops']}")
PYTHON
)
echo "$seen"
[[ $seen == "private ['sign'], public ['sign']" ]]
