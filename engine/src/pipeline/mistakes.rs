//! Mistakes that an author can make, and what is said of each: where, what, the value, and what would be right.

use serde_json::Value;

use super::Plan;
use crate::config::Errors;

/// A configuration that uses every part, without a mistake.
const RIGHT: &str = r#"
{
  "mode": "ENFORCE",
  "exclude": {"hosts": ["shop.example.com"]},
  "authentication": {
    "jwtRules": [
      {
        "issuer": "https://idp.example.com",
        "jwks": "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
        "audiences": ["models"],
        "fromHeaders": [{"name": "x-token", "prefix": "Bearer "}],
        "fromParams": ["token"],
        "fromCookies": ["session"],
        "outputPayloadToHeader": "x-payload",
        "outputClaimToHeaders": [{"header": "x-user", "claim": "sub"}],
        "spaceDelimitedClaims": ["roles"]
      },
      {
        "issuer": "https://other.example.com",
        "jwksUri": "https://other.example.com/jwks.json",
        "jwksCluster": "outbound|443||other.example.com",
        "timeout": "2s"
      }
    ],
    "jwks": {"refresh": "5m", "maxStale": "24h", "maxBytes": "1MiB"},
    "tokenCache": {"bytes": "4MiB"},
    "apiKeys": {
      "header": "x-api-key",
      "keys": [
        {
          "name": "batch",
          "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
          "claims": {"groups": ["batch"]}
        }
      ]
    }
  },
  "bypass": [
    {
      "name": "scrape",
      "from": [{"source": {"remoteIpBlocks": ["10.0.0.0/8"]}}],
      "to": [{"operation": {"methods": ["GET"], "paths": ["/prometheus"]}}]
    }
  ],
  "authorization": {
    "defaultAction": "DENY",
    "policies": [
      {
        "name": "readers",
        "namespace": "prod",
        "action": "ALLOW",
        "models": ["prod/iris"],
        "rules": [
          {
            "from": [
              {
                "source": {
                  "requestPrincipals": ["https://idp.example.com/*"],
                  "remoteIpBlocks": ["192.0.2.0/24"]
                }
              }
            ],
            "to": [
              {
                "operation": {"operations": ["predict"], "methods": ["POST"], "ports": ["8443"]}
              }
            ],
            "when": [{"key": "request.auth.claims[groups]", "values": ["ds"]}]
          }
        ]
      },
      {
        "name": "no-docs",
        "action": "DENY",
        "rules": [{"to": [{"operation": {"paths": ["/docs*"]}}]}]
      }
    ]
  },
  "sourceAddress": "AUTO",
  "trustedPeers": ["spiffe://cluster.local/ns/istio-system/sa/gateway"],
  "targets": {
    "families": ["seldon-v1", "seldon-v2", "kserve"],
    "seldonPrefix": "/seldon",
    "seldonV2": [{"namespace": "seldon-mesh", "hosts": ["*"]}],
    "kserve": {"hostTemplate": "{name}-{namespace}.example.com", "namespaces": ["prod"]},
    "fixed": [{"hosts": ["chat.example.com"], "pathPrefix": "/", "model": "prod/chat"}],
    "metricsPaths": ["/metrics"]
  },
  "rewrites": [
    {
      "name": "friendly",
      "match": {
        "path": "/models/{namespace}/{model}:predict",
        "methods": ["POST"],
        "headers": [{"name": "x-kind", "value": "json"}]
      },
      "path": "/seldon/{namespace}/{model}/api/v1.0/predictions",
      "setHeaders": {"x-model": "{model}"},
      "removeHeaders": ["x-old"]
    }
  ],
  "shadows": [
    {
      "name": "iris-v2",
      "models": ["prod/iris"],
      "operations": ["predict"],
      "percent": 10,
      "cluster": "outbound|8000||iris-v2.prod.svc.cluster.local",
      "timeout": "2s",
      "path": "/api/v1.0/predictions",
      "headers": {"set": {"x-copy": "yes"}, "remove": ["x-internal"], "keep": ["x-user"]},
      "query": {"keep": ["version"]},
      "limits": {"requestBytes": "1MiB", "inFlight": 64, "bufferedBytes": "8MiB"},
      "breaker": {"failures": 20, "retryAfter": "30s"},
      "compare": {"relativeTolerance": 1e-06, "ignore": ["/meta"], "maxDifferences": 8}
    }
  ],
  "shadowLimits": {"bufferedBytes": "32MiB"},
  "telemetry": {"modelLabels": {"max": 500}, "accessLog": false}
}
"#;

/// One mistake in [`RIGHT`], as `place = JSON` or `place absent`, and every line that is said of it.
const MISTAKES: &str = r#"
mode = "STRICT"
    mode: is unknown (STRICT): one of ENFORCE, REPORT
mode = true
    mode: is a boolean (true): a string: put it in quotes
Mode = "REPORT"
    Mode: is not a field here: did you mean mode?
sourceAddress = "X_FORWARDED_FOR"
    sourceAddress: is unknown (X_FORWARDED_FOR): one of AUTO, LAST_FORWARDED_FOR, UNAVAILABLE
exclude = ["shop.example.com"]
    exclude: is a list: an object
exclude.hosts = null
    exclude.hosts: has no value: a list, or leave the field out
exclude.hosts = "shop.example.com"
    exclude.hosts: is a string: a list
exclude.hosts[0] = ""
    exclude.hosts[0]: is empty (): a host as models.example.com, *.example.com or *
exclude.hosts[0] = "*.shop.*"
    exclude.hosts[0]: holds * elsewhere than at one end (*.shop.*): models.example.com, *.example.com or models.*
exclude.hosts[0] = "shop.example.com:443"
    exclude.hosts[0]: holds a port (shop.example.com:443): the host alone: it is compared without the port
authentication.jwtRule = []
    authentication.jwtRule: is not a field here: did you mean jwtRules?
authentication.jwtRules[0].issuer = null
    authentication.jwtRules[0].issuer: has no value: a string, or leave the field out
authentication.jwtRules[0].issuer = ""
    authentication.jwtRules[0].issuer: is missing: exactly the iss of the tokens
authentication.jwtRules[0].issuer = "apikey"
    authentication.jwtRules[0].issuer: is reserved for API keys (apikey): another issuer
authentication.jwtRules[0].issuer = 5
    authentication.jwtRules[0].issuer: is a number (5): a string: put it in quotes
authentication.jwtRules[0].jwks absent
    authentication.jwtRules[0]: is a rule without keys: give the issuer's key set in jwks, or jwksUri and jwksCluster
authentication.jwtRules[0].jwks = "{"
    authentication.jwtRules[0].jwks: is not a key set: EOF while parsing an object at line 1 column 1: a JSON Web Key Set, as {"keys": [...]}
authentication.jwtRules[0].jwks = {"keys": []}
    authentication.jwtRules[0].jwks: is an object: a string
authentication.jwtRules[0].jwks = "{}"
    authentication.jwtRules[0].jwks: is a key set without a list of keys: a JSON Web Key Set, as {"keys": [...]}
authentication.jwtRules[1].jwksCluster absent
    authentication.jwtRules[1].jwksCluster: is missing beside jwksUri: the Envoy cluster that reaches jwksUri, as outbound|443||idp.example.com
authentication.jwtRules[1].jwksUri absent
    authentication.jwtRules[1].jwksCluster: fetches nothing without jwksUri: give jwksUri, or leave it out
    authentication.jwtRules[1].timeout: limits a fetch of jwksUri, which this rule does not have: leave it out
    authentication.jwtRules[1]: is a rule without keys: give the issuer's key set in jwks, or jwksUri and jwksCluster
authentication.jwtRules[1].jwksUri = "ftp://other.example.com"
    authentication.jwtRules[1].jwksUri: is not a URL of http or https: http:// or https://, a host and a path, as https://idp.example.com/jwks.json
authentication.jwtRules[1].timeout = 5
    authentication.jwtRules[1].timeout: is a number (5): a string: put it in quotes
authentication.jwtRules[1].timeout = "5"
    authentication.jwtRules[1].timeout: is not a duration (5): a number with ms, s, m or h, as 250ms or 5m
authentication.jwtRules[1].timeout = "0s"
    authentication.jwtRules[1].timeout: is out of range (0ms): 100ms to 1m
authentication.jwtRules[0].timeout = "1s"
    authentication.jwtRules[0].timeout: limits a fetch of jwksUri, which this rule does not have: leave it out
authentication.jwtRules[0].audiences = null
    authentication.jwtRules[0].audiences: has no value: a list, or leave the field out
authentication.jwtRules[0].audiences = "models"
    authentication.jwtRules[0].audiences: is a string: a list
authentication.jwtRules[0].audiences[0] = ""
    authentication.jwtRules[0].audiences[0]: is empty: a name, or leave it out
authentication.jwtRules[0].jwks_uri = "https://x"
    authentication.jwtRules[0].jwks_uri: is not a field here: did you mean jwksUri?
authentication.jwtRules[0].fromHeaders[0] = "x-token"
    authentication.jwtRules[0].fromHeaders[0]: is a string: an object
authentication.jwtRules[0].fromHeaders[0].name absent
    authentication.jwtRules[0].fromHeaders[0].name: is missing: it must be given
authentication.jwtRules[0].fromHeaders[0].name = ""
    authentication.jwtRules[0].fromHeaders[0].name: is not a name of a header (): a name, as x-token
authentication.jwtRules[0].fromHeaders[0].name = "x token"
    authentication.jwtRules[0].fromHeaders[0].name: is not a name of a header (x token): a name, as x-token
authentication.jwtRules[0].fromHeaders[0].name = "Host"
    authentication.jwtRules[0].fromHeaders[0].name: is not a header for credentials: it frames the request, or selects the model (Host): a name, as x-token
authentication.jwtRules[0].fromHeaders[0].name = "seldon_model"
    authentication.jwtRules[0].fromHeaders[0].name: is not a header for credentials: it frames the request, or selects the model (seldon_model): a name, as x-token
authentication.jwtRules[0].fromParams[0] = ""
    authentication.jwtRules[0].fromParams[0]: is empty: a name, or leave it out
authentication.jwtRules[0].fromCookies[0] = "a;b"
    authentication.jwtRules[0].fromCookies[0]: is not a name of a cookie (a;b): a name without = ; and spaces
authentication.jwtRules[0].outputPayloadToHeader = "x user"
    authentication.jwtRules[0].outputPayloadToHeader: is not a name of a header (x user): letters, digits, - and _
authentication.jwtRules[0].outputPayloadToHeader = "host"
    authentication.jwtRules[0].outputPayloadToHeader: is not a header for claims (host): a name of its own, as x-user
authentication.jwtRules[0].outputPayloadToHeader = "X_User"
    authentication.jwtRules[0].outputClaimToHeaders[0].header: is given twice (x-user): a header for each claim
authentication.jwtRules[0].outputClaimToHeaders[0].claim = ""
    authentication.jwtRules[0].outputClaimToHeaders[0].claim: is empty: the name of a claim, as sub or realm_access.roles
authentication.jwtRules[0].outputClaimToHeaders[0].header = "seldon-model"
    authentication.jwtRules[0].outputClaimToHeaders[0].header: is not a header for claims (seldon-model): a name of its own, as x-user
authentication.jwtRules[0].outputClaimToHeaders[0].header = "x-token"
    authentication: has a header that both carries credentials and receives claims (x-token): another header for the claims
authentication.jwtRules[0].forwardOriginalToken = "yes"
    authentication.jwtRules[0].forwardOriginalToken: is a string (yes): true or false
authentication.jwtRules[0].spaceDelimitedClaims = ["c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c", "c"]
    authentication.jwtRules[0].spaceDelimitedClaims: is too long: at most 64 claims
authentication.jwks.refresh = "0s"
    authentication.jwks.refresh: is out of range (0ms): 1s to 24h
authentication.jwks.refresh = "5min"
    authentication.jwks.refresh: is not a duration (5min): a number with ms, s, m or h, as 250ms or 5m
authentication.jwks.maxStale = "1s"
    authentication.jwks.maxStale: is out of range (1000ms): at least refresh, or sets end before they are renewed, and at most 720h
authentication.jwks.maxBytes = "1MB"
    authentication.jwks.maxBytes: is not a size (1MB): a number with B, KiB or MiB, at most 1024MiB, as 64KiB
authentication.jwks.maxBytes = 1048576
    authentication.jwks.maxBytes: is a number (1048576): a string: put it in quotes
authentication.jwks.maxBytes = "0B"
    authentication.jwks.maxBytes: is out of range (0B): 1KiB to 16MiB
authentication.tokenCache.bytes = "1KiB"
    authentication.tokenCache.bytes: is too small: 8KiB or more, or 0B to switch it off
authentication.tokenCache.bytes = "2GiB"
    authentication.tokenCache.bytes: is not a size (2GiB): a number with B, KiB or MiB, at most 1024MiB, as 64KiB
authentication.tokenCache.bytes = "2048MiB"
    authentication.tokenCache.bytes: is not a size (2048MiB): a number with B, KiB or MiB, at most 1024MiB, as 64KiB
authentication.apiKeys.header = "authorization:"
    authentication.apiKeys.header: is not a name of a header (authorization:): a name, as x-token
authentication.apiKeys.header = "content-length"
    authentication.apiKeys.header: is not a header for credentials: it frames the request, or selects the model (content-length): a name, as x-token
authentication.apiKeys.header = "x-token"
    authentication.apiKeys.header: also carries tokens (x-token): a header of its own, as x-api-key, or a prefix, as "Bearer "
authentication.apiKeys.prefix = " Bearer"
    authentication.apiKeys.prefix: cannot stand before a key ( Bearer): at most 64 printable ASCII characters, no space first, as "Bearer "
authentication.apiKeys.keys[0].name = "a/b"
    authentication.apiKeys.keys[0].name: cannot be part of a principal (a/b): 1 to 253 printable ASCII characters without spaces, / and *
authentication.apiKeys.keys[0].sha256 = "hunter2"
    authentication.apiKeys.keys[0].sha256: is not a SHA-256: 64 hexadecimal digits, as sha256sum prints them
authentication.apiKeys.keys[0].sha256 absent
    authentication.apiKeys.keys[0].sha256: is missing: it must be given
authentication.apiKeys.keys[0].key = "hunter2"
    authentication.apiKeys.keys[0].key: is not a field here: known fields are name, sha256, claims
authentication.apiKeys.keys[0] = "hunter2"
    authentication.apiKeys.keys[0]: is a string: an object
authentication.apiKeys.keys[0].claims.sub = "root"
    authentication.apiKeys.keys[0].claims.sub: is a registered claim: leave it out: iss is apikey, sub the name of the key
authentication.apiKeys.keys[0].claims = ["batch"]
    authentication.apiKeys.keys[0].claims: is not an object: claims by name, as {groups: [batch]}
authentication.apiKeys.keys[1] = {"name": "batch", "sha256": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}
    authentication.apiKeys.keys[1].name: is given twice (batch): a name of its own
authentication.apiKeys.keys[1] = {"name": "other", "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    authentication.apiKeys.keys[1].sha256: is that of another key: a key of its own
bypass[0].name absent
    bypass[0].name: is missing: it must be given
bypass[0].name = ""
    bypass[0].name: is not a name (): a name as Kubernetes takes it: a-z, 0-9, - and .
bypass[0].to absent
    bypass[0].to: is empty, which would open everything: at least one operation with paths or operations
bypass[0].to[0].operation.paths absent
    bypass[0].to[0].operation: has neither paths nor operations: say which paths or operations are open to everybody
bypass[0].from[0].source.requestPrincipals = ["*"]
    bypass[0].from[0].source.requestPrincipals: asks for a token, and a bypassed request is anonymous: a policy that allows this caller, instead of a bypass
bypass[0].when = []
    bypass[0].when: is not a field here: known fields are name, from, to
bypass[0].from[0].source.remoteIpBlocks[0] = "10.0.0.0/40"
    bypass[0].from[0].source.remoteIpBlocks[0]: is no IP block (10.0.0.0/40): an address or a block, as 192.0.2.1 or 10.0.0.0/8
bypass[1] = {"name": "scrape", "to": [{"operation": {"paths": ["/metrics"]}}]}
    bypass[1].name: is given twice (scrape): a name of its own
authorization.defaultAction = "deny"
    authorization.defaultAction: is unknown (deny): one of ALLOW, DENY
authorization.policy = []
    authorization.policy: is not a field here: known fields are defaultAction, policies
authorization.policies[0].name = ""
    authorization.policies[0].name: is not a name (): a name as Kubernetes takes it: a-z, 0-9, - and .
authorization.policies[0].name = "data science"
    authorization.policies[0].name: is not a name (data science): a name as Kubernetes takes it: a-z, 0-9, - and .
authorization.policies[0].namespace = "Prod"
    authorization.policies[0].namespace: is not a namespace (Prod): a namespace as Kubernetes takes it: a-z, 0-9 and -
authorization.policies[0].action = "CUSTOM"
    authorization.policies[0].action: asks an external authorizer, which is not supported by this version (CUSTOM): keep it in Istio's own AuthorizationPolicy, which Envoy enforces as well
authorization.policies[0].action = "BLOCK"
    authorization.policies[0].action: is unknown (BLOCK): one of ALLOW, DENY, AUDIT, CUSTOM
authorization.policies[0].dryRun = "true"
    authorization.policies[0].dryRun: is a string (true): true or false
authorization.policies[0].models = null
    authorization.policies[0].models: has no value: a list, or leave the field out
authorization.policies[0].models[0] = "iris"
    authorization.policies[0].models[0]: is not a model (iris): namespace/name, namespace/*, */name, or * for any model
authorization.policies[0].models[0] = "prod/*/iris"
    authorization.policies[0].models[0]: has * elsewhere than at one end (prod/*/iris): namespace/name, namespace/*, */name, or * for any model
authorization.policies[0].models[0] = "Prod/iris"
    authorization.policies[0].models[0]: has a character that no model's name has (Prod/iris): namespace/name, namespace/*, */name, or * for any model
authorization.policies[0].selector = {"matchLabels": {}}
    authorization.policies[0].selector: is not a field here: known fields are name, namespace, action, dryRun, models, rules
authorization.policies[1].rules = []
    authorization.policies[1].rules: is empty, and such a policy never matches: at least one rule; [{}] matches every request
authorization.policies[1].rules[0] = null
    authorization.policies[1].rules[0]: has no value: an object, or leave the field out
authorization.policies[2] = {"name": "readers", "namespace": "prod"}
    authorization.policies[2].name: is given twice (prod/readers): a name of its own, or another namespace
authorization.policies[0].rules[0].from[0].source.ipBlock = ["10.0.0.0/8"]
    authorization.policies[0].rules[0].from[0].source.ipBlock: is not a field here: did you mean ipBlocks?
authorization.policies[0].rules[0].from[0].source.remoteIpBlocks[0] = "192.0.2.300"
    authorization.policies[0].rules[0].from[0].source.remoteIpBlocks[0]: is no IP block (192.0.2.300): an address or a block, as 192.0.2.1 or 10.0.0.0/8
authorization.policies[0].rules[0].from[0].source.remoteIpBlocks[0] = "192.0.2.0-192.0.2.9"
    authorization.policies[0].rules[0].from[0].source.remoteIpBlocks[0]: is no IP block (192.0.2.0-192.0.2.9): an address or a block, as 192.0.2.1 or 10.0.0.0/8
authorization.policies[0].rules[0].from[0].source.requestPrincipals[0] = ""
    authorization.policies[0].rules[0].from[0].source.requestPrincipals[0]: is empty: a value, or * for any
authorization.policies[0].rules[0].from[0].source.requestPrincipals[0] = 7
    authorization.policies[0].rules[0].from[0].source.requestPrincipals[0]: is a number (7): a string: put it in quotes
authorization.policies[0].rules[0].from[0].source.principals = ["spiffe://cluster.local/ns/prod/sa/a"]
    authorization.policies[0].rules[0].from[0].source.principals[0]: begins with its scheme (spiffe://cluster.local/ns/prod/sa/a): leave spiffe:// out, as Istio does
authorization.policies[0].rules[0].from[0].source.serviceAccounts = ["a/b/c"]
    authorization.policies[0].rules[0].from[0].source.serviceAccounts[0]: is not a service account (a/b/c): account or namespace/account
authorization.policies[0].rules[0].from[0].source.serviceAccounts = ["prod/batch*"]
    authorization.policies[0].rules[0].from[0].source.serviceAccounts[0]: has a * (prod/batch*): name one service account; principals and namespaces take *
authorization.policies[0].rules[0].from[0].source = {}
    authorization.policies[0].rules[0].from[0].source: names nobody: at least one field; leave `from` out if anybody may call
authorization.policies[0].rules[0].from[0].source.trustDomains = ["cluster*local"]
    authorization.policies[0].rules[0].from[0].source.trustDomains[0]: is not a trust domain (cluster*local): as cluster.local, with a * at one end or alone; principals take the rest of an identity
authorization.policies[0].rules[0].from[0].source = {"serviceAccounts": ["batch"], "namespaces": ["prod"]}
    authorization.policies[0].rules[0].from[0].source.namespaces: stands beside serviceAccounts or notServiceAccounts: one or the other, as in Istio
authorization.policies[0].rules[0].from[0] = {"requestPrincipals": ["*"]}
    authorization.policies[0].rules[0].from[0].requestPrincipals: is not a field here: known fields are source
    authorization.policies[0].rules[0].from[0].source: names nobody: at least one field; leave `from` out if anybody may call
authorization.policies[0].rules[0].to[0] = {}
    authorization.policies[0].rules[0].to[0].operation: names nothing: at least one field; leave `to` out if everything is meant
authorization.policies[0].rules[0].to[0].operation = {}
    authorization.policies[0].rules[0].to[0].operation: names nothing: at least one field; leave `to` out if everything is meant
authorization.policies[0].rules[0].to[0].operation.ports[0] = 8443
    authorization.policies[0].rules[0].to[0].operation.ports[0]: is a number (8443): a string: put it in quotes
authorization.policies[0].rules[0].to[0].operation.ports[0] = "8443-8444"
    authorization.policies[0].rules[0].to[0].operation.ports[0]: is not a port number (8443-8444): a number from 0 to 65535
authorization.policies[0].rules[0].to[0].operation.ports[0] = "70000"
    authorization.policies[0].rules[0].to[0].operation.ports[0]: is not a port number (70000): a number from 0 to 65535
authorization.policies[0].rules[0].to[0].operation.methods[0] = ""
    authorization.policies[0].rules[0].to[0].operation.methods[0]: is empty: a value, or * for any
authorization.policies[0].rules[0].to[0].operation.method = ["GET"]
    authorization.policies[0].rules[0].to[0].operation.method: is not a field here: did you mean methods?
authorization.policies[0].rules[0].to[0].operation.operations[0] = "infer"
    authorization.policies[0].rules[0].to[0].operation.operations[0]: is not an operation (infer): one of predict, feedback, explain, metadata, status, docs, metrics, admin, other, or *
authorization.policies[0].rules[0].to[0].operation.operations[0] = "pre*"
    authorization.policies[0].rules[0].to[0].operation.operations[0]: is not an operation (pre*): one of predict, feedback, explain, metadata, status, docs, metrics, admin, other, or *
authorization.policies[0].rules[0].to[0].operation.models = ["*iris*"]
    authorization.policies[0].rules[0].to[0].operation.models[0]: is not a model (*iris*): namespace/name, namespace/*, */name, or * for any model
authorization.policies[0].rules[0].to[0].operation.paths = ["/a/{model}"]
    authorization.policies[0].rules[0].to[0].operation.paths[0]: has a { or } that is not a template (/a/{model}): {*} or {**} as a whole segment; no path holds a brace unencoded
authorization.policies[0].rules[0].to[0].operation.paths = ["/{**}/{*}"]
    authorization.policies[0].rules[0].to[0].operation.paths[0]: has an operator behind {**} (/{**}/{*}): as /v1/{*}/predict or /v1/{**}
authorization.policies[0].rules[0].to[0].operation.paths = ["/v1/{*}x"]
    authorization.policies[0].rules[0].to[0].operation.paths[0]: has {, } or * elsewhere than in a segment that is {*} or {**} (/v1/{*}x): as /v1/{*}/predict or /v1/{**}
authorization.policies[0].rules[0].to[0].operation.hosts = [""]
    authorization.policies[0].rules[0].to[0].operation.hosts[0]: is empty: a value, or * for any
authorization.policies[0].rules[0].when[0].key absent
    authorization.policies[0].rules[0].when[0].key: is missing: it must be given
authorization.policies[0].rules[0].when[0].key = "request.header[x]"
    authorization.policies[0].rules[0].when[0].key: is not a key (request.header[x]): source.ip, remote.ip, source.principal, source.namespace, source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, request.auth.claims[name], request.headers[name], destination.ip, destination.port, or connection.sni
authorization.policies[0].rules[0].when[0].key = "request.headers[x y]"
    authorization.policies[0].rules[0].when[0].key: names no header (request.headers[x y]): request.headers[name]
authorization.policies[0].rules[0].when[0].key = "request.auth.claims"
    authorization.policies[0].rules[0].when[0].key: names no claim (request.auth.claims): request.auth.claims[name], or [outer][inner]
authorization.policies[0].rules[0].when[0].key = "experimental.envoy.filters.x[k]"
    authorization.policies[0].rules[0].when[0].key: asks for what other filters said, which is not supported by this version (experimental.envoy.filters.x[k]): keep this policy in Istio's own AuthorizationPolicy
authorization.policies[0].rules[0].when[0].key = "destination.labels[app]"
    authorization.policies[0].rules[0].when[0].key: is no longer a key of Istio's (destination.labels[app]): destination.ip or destination.port
authorization.policies[0].rules[0].when[0].key = "source.ip"
    authorization.policies[0].rules[0].when[0].values[0]: is no IP block (ds): an address or a block, as 192.0.2.1 or 10.0.0.0/8
authorization.policies[0].rules[0].when[0].key = "destination.port"
    authorization.policies[0].rules[0].when[0].values[0]: is not a port number (ds): a number from 0 to 65535
authorization.policies[0].rules[0].when[0].values absent
    authorization.policies[0].rules[0].when[0]: has neither values nor notValues: give at least one of them
authorization.policies[0].rules[0].when[0].values = []
    authorization.policies[0].rules[0].when[0]: has neither values nor notValues: give at least one of them
authorization.policies[0].rules[0].when[0].values[0] = ""
    authorization.policies[0].rules[0].when[0].values[0]: is empty: a value, or * for any
authorization.policies[0].rules[0].when[0].values[0] = true
    authorization.policies[0].rules[0].when[0].values[0]: is a boolean (true): a string: in quotes for a header or a text. Claims that are booleans or numbers are never compared: another claim, that is a text
authorization.policies[0].rules[0].when[0].values[0] = 7
    authorization.policies[0].rules[0].when[0].values[0]: is a number (7): a string: in quotes for a header or a text. Claims that are booleans or numbers are never compared: another claim, that is a text
authorization.policies[0].rules[0].when[0].values = "ds"
    authorization.policies[0].rules[0].when[0].values: is a string: a list
authorization.policies[0].rules[0].when[0].notvalues = ["x"]
    authorization.policies[0].rules[0].when[0].notvalues: is not a field here: did you mean notValues?
trustedPeers[0] = "cluster.local/ns/istio-system/sa/gateway"
    trustedPeers[0]: is not a SPIFFE id (cluster.local/ns/istio-system/sa/gateway): a whole SPIFFE id, as spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway
trustedPeers[0] = "spiffe://*"
    trustedPeers[0]: is not a SPIFFE id (spiffe://*): a whole SPIFFE id, as spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway
trustedPeers = null
    trustedPeers: has no value: a list, or leave the field out
targets.families = ["seldon-v1", "seldon", "kserve"]
    targets.families[1]: is unknown (seldon): one of seldon-v1, seldon-v2, kserve
targets.families = ["seldon-v1", "seldon-v2", "kserve", "kserve"]
    targets.families[3]: is given twice (kserve): each once
targets.seldonPrefix = "seldon"
    targets.seldonPrefix: is not usable: the path does not begin with / (seldon): a path that begins with /, as /a/b
targets.seldonPrefix = "/seldon/"
    targets.seldonPrefix: ends with / (/seldon/): the path without its trailing /, as /seldon
targets.seldonPrefix = "/v2/seldon"
    targets.seldonPrefix: is under /v2, which is Seldon v2's (/v2/seldon): another path
targets.seldonPrefix = "/a%2Fb"
    targets.seldonPrefix: holds ?, # or % (/a%2Fb): a path that begins with /, as /a/b
targets.seldonV2 = []
    targets.seldonV2: is empty: a namespace with its hosts, or leave seldon-v2 out of families
targets.seldonV2[0].namespace = "Seldon_Mesh"
    targets.seldonV2[0].namespace: is not a name (Seldon_Mesh): a DNS-1123 name, as seldon-mesh
targets.seldonV2[0].namespace absent
    targets.seldonV2[0].namespace: is missing: it must be given
targets.kserve = {}
    targets.kserve: has no template: hostTemplate or pathTemplate as KServe has it, or leave kserve out of families
targets.kserve.hostTemplate = "{name}.example.com"
    targets.kserve.hostTemplate: is not a template ({name}.example.com): one {name} and one {namespace} with text between them, and no other variable
targets.kserve.hostTemplate = "https://{name}-{namespace}.example.com"
    targets.kserve.hostTemplate: is not a host (https://{name}-{namespace}.example.com): a host without scheme, port and trailing dot, as {name}-{namespace}.example.com
targets.kserve.namespaces = []
    targets.kserve.hostTemplate: does not tell where the name ends and the namespace begins ({name}-{namespace}.example.com): list the namespaces in targets.kserve.namespaces
targets.kserve.namespaces[0] = "prod.x"
    targets.kserve.namespaces[0]: is not a namespace (prod.x): a DNS-1123 label, as prod
targets.kserve.namespaces[1] = "prod"
    targets.kserve.namespaces[1]: is given twice (prod): each namespace once
targets.kserve.pathTemplate = "serving/{namespace}/{name}"
    targets.kserve.pathTemplate: is not usable: the path does not begin with / (serving/namespace/name): a path that begins with /, as /a/b
targets.families = ["seldon-v1"]
    targets.kserve: is set without its family: add kserve to targets.families, or leave this out
targets.fixed[0].model = "chat"
    targets.fixed[0].model: is not a model (chat): namespace/name, as prod/chat
targets.fixed[0].pathPrefix = "chat"
    targets.fixed[0].pathPrefix: is not usable: the path does not begin with / (chat): a path that begins with /, as /a/b
targets.metricsPaths[0] = "/metrics?x"
    targets.metricsPaths[0]: holds ?, # or % (/metrics?x): a path that begins with /, as /a/b
rewrites[0].name = ""
    rewrites[0].name: is empty: a name for logs and errors
rewrites[0].match absent
    rewrites[0].match: is missing: it must be given
rewrites[0].match.path absent
    rewrites[0].match.path: is missing: it must be given
rewrites[0].match.path = "models/{namespace}/{model}"
    rewrites[0].match.path: does not begin with / (models/{namespace}/{model}): a path as /models/{namespace}/{model}:predict or /a/{rest=**}
rewrites[0].match.path = "/models/{namespace}{model}"
    rewrites[0].match.path: has two variables in one segment (/models/{namespace}{model}): one variable between two /: where the first ends would be a guess
rewrites[0].match.path = "/models/{namespace}/{model}/{model}"
    rewrites[0].match.path: has a variable twice (/models/{namespace}/{model}/{model}): another name for one of them
rewrites[0].match.path = "/{namespace=**}/{model}"
    rewrites[0].match.path: goes on behind {name=**} (/{namespace=**}/{model}): {name=**} at the very end
rewrites[0].match.path = "/a?b={model}"
    rewrites[0].match.path: holds ? or # (/a?b={model}): the path alone: the query is kept and not matched
rewrites[0].match.methods[0] = "post"
    rewrites[0].match.methods[0]: is not a method (post): a method in upper case, as POST
rewrites[0].match.headers[0].name = ":path"
    rewrites[0].match.headers[0].name: is not a header's name (:path): a header's name; the method, path and host have fields of their own
rewrites[0].match.headers[0].value absent
    rewrites[0].match.headers[0].value: is missing: it must be given
rewrites[0].path = "seldon/{model}"
    rewrites[0].path: does not begin with one / (seldon/{model}): a path as /seldon/{namespace}/{model}/api/v1.0/predictions
rewrites[0].path = "/seldon/{name}/{model}"
    rewrites[0].path: uses an unknown variable ({name}): one of {namespace}, {model}
rewrites[0].path = "/seldon/../{model}"
    rewrites[0].path: holds a . or .. segment (/seldon/../{model}): the path that is meant
rewrites[0].path = "/seldon/{model}?a=1"
    rewrites[0].path: holds ?, #, \ or a space (/seldon/{model}?a=1): the path alone: the query of the request is kept
rewrites[0].path = "/seldon/{model"
    rewrites[0].path: is not a template (/seldon/{model): variables as {model}, and no other { or }
rewrites[0].target = {"namespace": "{namespace}", "model": "{model}"}
    rewrites[0].target: is given though the new address names the model itself: leave target out
rewrites[0].setHeaders.host = "x"
    rewrites[0].setHeaders.host: may not be changed by a rule: path and authority have fields of their own; the proxy writes the others
rewrites[0].setHeaders.X-Model = "x"
    rewrites[0].setHeaders.x-model: is given twice: one entry: names differ in more than case
rewrites[0].removeHeaders[0] = "x-model"
    rewrites[0].removeHeaders[0]: is set as well: leave it out: setHeaders replaces every line
rewrites[0].removeHeaders[0] = "connection"
    rewrites[0].removeHeaders[0]: may not be changed by a rule: path and authority have fields of their own; the proxy writes the others
shadows[0].name = "iris v2"
    shadows[0].name: cannot stand in a metric (iris v2): 1 to 64 letters, digits, dots, underscores and hyphens
shadows[0].models = []
    shadows[0].models: is empty: namespace/name of the models, or "*" for all of them
shadows[0].models[0] = "iris"
    shadows[0].models[0]: is not a model (iris): namespace/name, namespace/*, */name, or * for any model
shadows[0].models[0] = "Prod/iris"
    shadows[0].models[0]: has a character that no model's name has (Prod/iris): namespace/name, namespace/*, */name, or * for any model
shadows[0].models[0] = "prod/iris/v2"
    shadows[0].models[0]: has more than one / (prod/iris/v2): namespace/name, namespace/*, */name, or * for any model
splits = [{"name": "c", "models": ["prod/iris/v2", "Prod/iris"], "variants": [{"name": "a", "weight": 1}]}]
    splits[0].models[0]: has more than one / (prod/iris/v2): namespace/name, namespace/*, */name, or * for any model
    splits[0].models[1]: has a character that no model's name has (Prod/iris): namespace/name, namespace/*, */name, or * for any model
shadows[0].operations = []
    shadows[0].operations: is empty: some of predict, explain, metadata, status, docs; percent 0 turns a shadow off
shadows[0].operations[0] = "feedback"
    shadows[0].operations[0]: is never copied (feedback): some of predict, explain, metadata, status, docs
shadows[0].operations[0] = "infer"
    shadows[0].operations[0]: is unknown (infer): some of predict, explain, metadata, status, docs
shadows[0].percent = 101
    shadows[0].percent: is too large (101): a number from 0 to 100
shadows[0].percent = -1
    shadows[0].percent: does not fit (-1): a number that is not negative
shadows[0].percent = "10%"
    shadows[0].percent: is a string (10%): a number that is not negative
shadows[0].sampleBy = "user"
    shadows[0].sampleBy: is unknown (user): one of request, principal
shadows[0].cluster absent
    shadows[0].cluster: is missing: it must be given
shadows[0].cluster = "outbound|http||iris"
    shadows[0].cluster: is not the name of a cluster (outbound|http||iris): an Envoy cluster, as outbound|8000||iris-v2.prod.svc.cluster.local
shadows[0].authority = ""
    shadows[0].authority: is not a host (): a host, with or without port, or leave the field out
shadows[0].path = "api"
    shadows[0].path: does not begin with / (api): a path over {namespace}, {model} and {predictor}
shadows[0].path = "/{deployment}"
    shadows[0].path: has an unknown variable (/{deployment}): a path over {namespace}, {model} and {predictor}
shadows[0].timeout = "0s"
    shadows[0].timeout: is out of range (0ms): 1ms to 10m
shadows[0].timeout = "11m"
    shadows[0].timeout: is out of range (660000ms): 1ms to 10m
shadows[0].headers.set.cookie = "x"
    shadows[0].headers.set.cookie: cannot be set on a copy: a header that the proxy does not set
shadows[0].headers.remove[0] = ""
    shadows[0].headers.remove[0]: is not a header (): a header's name, as x-internal
shadows[0].headers.keep[0] = "x-*-id"
    shadows[0].headers.keep[0]: is not a header (x-*-id): a header's name, or its first letters and *, as x-shop-*
shadows[0].query.keep[0] = ""
    shadows[0].query.keep[0]: is empty: a parameter's name, decoded, as version
shadows[0].limits.requestBytes = "1M"
    shadows[0].limits.requestBytes: is not a size (1M): a number with B, KiB or MiB, at most 1024MiB, as 64KiB
shadows[0].limits.inFlight = 0
    shadows[0].limits.inFlight: is out of range (0): 1 to 10000; percent 0 turns a shadow off
shadows[0].limits.inFlight = 1.5
    shadows[0].limits.inFlight: does not fit (1.5): a whole number from 0 to 4294967295
shadows[0].limits.inFlight = "64"
    shadows[0].limits.inFlight: is a string (64): a whole number from 0 to 4294967295
shadows[0].limits.bufferedBytes = "64MiB"
    shadows[0].limits.bufferedBytes: is more than all may hold: at most shadowLimits.bufferedBytes, which holds for all together
shadows[0].breaker.failures = 0
    shadows[0].breaker.failures: is 0: at least 1, as 20
shadows[0].compare.relativeTolerance = -1
    shadows[0].compare.relativeTolerance: does not fit (-1): a number that is not negative
shadows[0].compare.ignore[0] = "meta"
    shadows[0].compare.ignore[0]: is not a JSON pointer (meta): RFC 6901, as /meta/*/id
shadows[0].compare.maxDifferences = 1000
    shadows[0].compare.maxDifferences: is out of range (1000): 1 to 64
shadows[0].compare.baselineCluster = "outbound|x||y"
    shadows[0].compare.baselineCluster: is not the name of a cluster (outbound|x||y): the live model's Envoy cluster, as outbound|8000||iris.prod.svc.cluster.local
shadows[0].when = [{"key": "user", "values": ["x"]}]
    shadows[0].when[0].key: is not a key (user): source.ip, remote.ip, source.principal, source.namespace, source.serviceAccount, source.trustDomain, request.auth.principal, request.auth.audiences, request.auth.presenter, request.auth.claims[name], request.headers[name], destination.ip, destination.port, or connection.sni
shadows[1] = {"name": "iris-v2", "models": ["prod/iris"], "cluster": "c"}
    shadows[1].name: is given twice (iris-v2): a name of its own for each shadow
shadowLimits.bufferedBytes = "0B"
    shadowLimits.bufferedBytes: is 0: at least 1B, as 32MiB
    shadows[0].limits.bufferedBytes: is more than all may hold: at most shadowLimits.bufferedBytes, which holds for all together
shadowLimits.bytes = "1MiB"
    shadowLimits.bytes: is not a field here: known fields are bufferedBytes
telemetry.modelLabels = 500
    telemetry.modelLabels: is a number (500): an object
telemetry.modelLabels.max = -5
    telemetry.modelLabels.max: does not fit (-5): a whole number from 0 to 4294967295
telemetry.modelLabels.max = "500"
    telemetry.modelLabels.max: is a string (500): a whole number from 0 to 4294967295
telemetry.accessLog = "on"
    telemetry.accessLog: is a string (on): true or false
telemetry.accesslog = true
    telemetry.accesslog: is not a field here: did you mean accessLog?
telemetry.policyLabels = {"maximum": 5}
    telemetry.policyLabels.maximum: is not a field here: known fields are max
"#;

struct Mistake {
    place: &'static str,
    value: Option<Value>,
    lines: Vec<&'static str>,
}

fn mistakes() -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    for line in MISTAKES.lines().filter(|line| !line.is_empty()) {
        if let Some(said) = line.strip_prefix("    ") {
            mistakes.last_mut().unwrap().lines.push(said);
        } else if let Some(place) = line.strip_suffix(" absent") {
            mistakes.push(Mistake { place, value: None, lines: Vec::new() });
        } else {
            let (place, value) = line.split_once(" = ").unwrap();
            let value = Some(serde_json::from_str(value).unwrap());
            mistakes.push(Mistake { place, value, lines: Vec::new() });
        }
    }
    mistakes
}

/// Writes a value at a place, or takes away what is there. The place right behind a list adds to it.
fn put(document: &mut Value, place: &str, value: Option<Value>) {
    let pointer = format!("/{}", place.replace(']', "").replace(['.', '['], "/"));
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match (document.pointer_mut(parent).unwrap(), value) {
        (Value::Object(fields), Some(value)) => {
            fields.insert(last.to_owned(), value);
        }
        (Value::Object(fields), None) => assert!(fields.remove(last).is_some(), "{place}"),
        (Value::Array(items), Some(value)) => match items.get_mut(last.parse::<usize>().unwrap()) {
            Some(item) => *item = value,
            None => items.push(value),
        },
        (other, _) => panic!("{place} is in {other}"),
    }
}

/// What is said of a configuration, line for line.
fn said(document: &Value) -> String {
    let mut errors = Errors::default();
    let plan = Plan::read(document.to_string().as_bytes(), &mut errors);
    assert_eq!(plan.is_some(), errors.is_empty());
    errors.to_string()
}

#[test]
fn a_configuration_without_a_mistake_is_taken() {
    let right: Value = serde_json::from_str(RIGHT).unwrap();
    assert_eq!(said(&right), "");
}

#[test]
fn every_mistake_is_told_with_its_place_its_value_and_its_remedy() {
    let right: Value = serde_json::from_str(RIGHT).unwrap();
    let mistakes = mistakes();
    assert!(mistakes.len() >= 60);
    let mut wrong = Vec::new();
    for mistake in mistakes {
        let mut document = right.clone();
        put(&mut document, mistake.place, mistake.value);
        let said = said(&document);
        if said.lines().ne(mistake.lines.iter().copied()) {
            wrong.push(format!("{}\n{said}", mistake.place));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An author who is told one mistake at a time needs as many attempts as there are mistakes.
#[test]
fn mistakes_in_many_places_are_told_at_once() {
    let mut document: Value = serde_json::from_str(RIGHT).unwrap();
    let object = |place: &'static str| place.rsplit_once('.').map_or("", |(object, _)| object);
    // One in each object: a second one may take away what the first is about.
    let mut made: Vec<Mistake> = Vec::new();
    for mistake in mistakes() {
        let at_its_place = |line: &&str| line.starts_with(&format!("{}: ", mistake.place));
        let alone = mistake.lines.len() == 1 && mistake.lines.iter().all(at_its_place);
        let apart = |other: &Mistake| {
            let (here, there) = (object(mistake.place), object(other.place));
            let inside = here.starts_with(other.place) || there.starts_with(mistake.place);
            here != there && !inside
        };
        if alone && made.iter().all(apart) {
            put(&mut document, mistake.place, mistake.value.clone());
            made.push(mistake);
        }
    }
    let mut wanted: Vec<&str> = made.iter().flat_map(|mistake| mistake.lines.clone()).collect();
    let said = said(&document);
    let mut told: Vec<&str> = said.lines().collect();
    wanted.sort_unstable();
    told.sort_unstable();
    assert!(made.len() >= 30, "{}", made.len());
    assert_eq!(told, wanted);
}
