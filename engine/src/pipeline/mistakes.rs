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
  "splits": [
    {
      "name": "iris-canary",
      "models": ["prod/iris"],
      "variants": [{"name": "main", "weight": 75}, {"name": "canary", "weight": 25}]
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

/// One mistake in [`RIGHT`] after the other, as `place = JSON` or `place absent`, and every line that is said of it: each
/// table stands beside the code that says so.
const TABLES: [&str; 7] = [
    include_str!("../config/mistakes.txt"),
    include_str!("../authn/mistakes.txt"),
    include_str!("../authz/mistakes.txt"),
    include_str!("../routing/mistakes.txt"),
    include_str!("../rewrite/mistakes.txt"),
    include_str!("../split/mistakes.txt"),
    include_str!("../shadow/mistakes.txt"),
];

struct Mistake {
    place: &'static str,
    value: Option<Value>,
    lines: Vec<&'static str>,
}

fn mistakes() -> Vec<Mistake> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    for line in TABLES.iter().flat_map(|table| table.lines()) {
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
    let is_right = |mistake: &Mistake| !mistake.lines.is_empty();
    assert!(mistakes.len() >= 450 && mistakes.iter().all(is_right), "{}", mistakes.len());
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
