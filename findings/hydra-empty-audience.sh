#!/usr/bin/env bash
# ORY Hydra, with JWT access tokens: a client that is allowed an audience, but does not ask for it with each request,
# gets a token with `"aud": []`: not without `aud`, and not with the audience that it is allowed. Whoever asks for an
# audience refuses it. The token type is spelt `bearer` beside it.
#
# Seen with ORY Hydra 2.3.0, built from its Go module (Go 1.26, a C compiler; some minutes):
#   asked for: ['models'], not asked for: [], token_type bearer
set -euo pipefail
work=$(mktemp -d)
server=
finish() {
  if [[ -n $server ]]; then kill "$server" 2> /dev/null || true; wait "$server" 2> /dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
cd "$work"

cat > go.mod <<'GO'
module finding

go 1.26.0

tool github.com/ory/hydra/v2

require github.com/ory/hydra/v2 v2.3.0

// As its own go.mod says; a replacement does not count in a module that depends on it.
replace github.com/gobuffalo/pop/v6 => github.com/ory/pop/v6 v6.2.1-0.20241121111754-e5dfc0f3344b
GO
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
timeout 900 go mod tidy 2> tidy.log
timeout 1800 go build -trimpath -tags sqlite,sqlite_omit_load_extension -ldflags '-s -w' -o hydra github.com/ory/hydra/v2

read -r public admin < <(python3 -c '
import socket
sockets = [socket.socket() for _ in range(2)]
for s in sockets: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))')
secret=$(python3 -c 'import secrets; print(secrets.token_hex(24))')
cat > hydra.yaml <<YAML
dsn: memory
serve: {public: {host: 127.0.0.1, port: $public}, admin: {host: 127.0.0.1, port: $admin}}
urls: {self: {issuer: "http://127.0.0.1:$public"}}
secrets: {system: [$secret]}
strategies: {access_token: jwt}
sqa: {opt_out: true}
YAML
./hydra serve all --dev --config hydra.yaml > hydra.log 2>&1 &
server=$!
for _ in $(seq 240); do
  curl --silent --fail --max-time 5 "http://127.0.0.1:$admin/health/ready" > /dev/null && break
  kill -0 "$server"
  sleep 0.5
done

curl --silent --fail --max-time 30 -H 'content-type: application/json' "http://127.0.0.1:$admin/admin/clients" -d '{
  "client_id": "batch", "client_secret": "'"$secret"'", "grant_types": ["client_credentials"], "audience": ["models"]
}' > /dev/null
token() {
  curl --silent --fail --max-time 30 -u "batch:$secret" "http://127.0.0.1:$public/oauth2/token" -d grant_type=client_credentials "$@"
}
token -d audience=models > asked.json
token > unasked.json
seen=$(python3 - <<'PYTHON'
import base64, json
def audience(answer):
    part = answer["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["aud"]
asked, unasked = (json.load(open(name + ".json")) for name in ("asked", "unasked"))
print(f"asked for: {audience(asked)}, not asked for: {audience(unasked)}, token_type {unasked['token_type']}")
PYTHON
)
echo "$seen"
[[ $seen == "asked for: ['models'], not asked for: [], token_type bearer" ]]
