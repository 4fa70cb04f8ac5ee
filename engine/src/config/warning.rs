//! The names of warnings: stable, so that logs and reviews can be searched for them. `docs/warnings.md` is made of
//! this list.

use super::declare::words;

words! {
    /// What a warning is about.
    pub enum Warning {
        /// A value, condition, rule or `models` that no request fits: in an ALLOW it opens nothing, in a DENY it
        /// refuses nothing, in a shadow or split it takes nothing, and a `not...` form of it excepts nothing. Of a model that
        /// bodies name only predictions are known, and when they are, no header can be set for a split any more. The
        /// message says why; as a rule the value is written for another matcher (a regular expression, a glob,
        /// lower-case methods), has a blank at an end, a character that nobody sees, or quotes around a claim's name
        /// (of these, and of expressions for other texts than paths, the command tells alone), or names what this configuration cannot yield: a namespace of none of
        /// `targets.families`, an issuer that no rule has, a subject with a `/` in it (the last `/` splits, as in
        /// Istio).
        NeverMatches = "never-matches",
        /// A caller without any credential reaches models although tokens, keys or `defaultAction: DENY` are
        /// configured; or a bypass or `exclude` takes everything. Each ALLOW rule and bypass is tried with requests
        /// that fit it, from one without a credential who writes the headers that it asks for. A rule that names
        /// models, or a whole path that says which model it is, and asks nothing of callers, is taken for open on purpose.
        /// At `/`, `/predict` or `/v1/chat/completions` the host, a header or the body may say it: such a path is open at
        /// every service (`POST /` asks an inference graph), unless the rule has whole hosts of services or hosts of its own
        /// site beside it, or `methods: [GET]` beside `/`. The gateway tries the usual addresses of model servers,
        /// `modelgate check` all that are known, whole paths, and wildcards of a model's own name.
        OpenToEverybody = "open-to-everybody",
        /// A condition on a claim compares with `true`, `false` or a number. Claims match as texts and lists of
        /// texts only, as in Istio: a boolean or number in a token fits no value, not even `*`. Let the provider
        /// write a text (a role, a group, `"true"`), and compare with that.
        ClaimNotText = "claim-not-text",
        /// A quota counts by a header that clients write: whoever writes another value has a count of its own.
        ClientHeader = "client-header",
        /// A DENY by `paths` or by a header that names a model (`seldon-model`, `x-gateway-model-name`), or an ALLOW that
        /// excepts them, means a model by one of its addresses. The same model has others: a rewrite's, gRPC, which names
        /// models in headers, an LLMInferenceService's two paths and headers, the other protocols of an inference service
        /// (`/v1/models/m:predict`, `/v2/models/m/infer`, `ModelInfer`, `/openai/v1/...`), and versions
        /// (`/v2/models/m/versions/1/infer`; in Seldon's repository `/v2/repository/models/iris_1/unload`). Of headers,
        /// protocols and versions `modelgate check` tells alone. Write `models`, which hold for all of them. Or a DENY, or
        /// `notModels`, means by one name a model that bodies name, and an ALLOW takes others by a `*`: servers know a
        /// model by several names, so list what may be asked for. Or it means a service by its host, and
        /// `kserve.pathTemplate` leads to it at any host. Of these, too, the command tells alone.
        OtherAddress = "other-address",
        /// A DENY, or a `not...` form of an ALLOW, names a host or a path in one spelling, and the client may write
        /// another that goes the same way: a host with or without a port, or in a condition with other letters'
        /// case; a `:path` with a query. Hosts go with `:*` beside them; a `*suffix` fits no host with a port, so
        /// hosts that may are better named than those that may not.
        Respelled = "respelled",
        /// `operations: ["*"]` in an ALLOW does not open `metrics`, `admin` and `other`: closed operations are
        /// opened by their names. Nor do `paths` alone, as `/v2/repository/*`, of which the command tells.
        ClosedOperations = "closed-operations",
        /// A wildcard in `exclude.hosts`: every host that fits passes undecided, also one that has no virtual host of
        /// its own on the listener and so goes to the routes of `*`.
        ExcludedWildcard = "excluded-wildcard",
        /// A host in `exclude.hosts` is also one of `targets.fixed`, `targets.seldonV2`, `targets.openai`, a rewrite or a policy:
        /// what is not a model's address passes there before any of them is asked.
        ExcludedHost = "excluded-host",
        /// An ALLOW policy names models by a wildcard (`prod/*`), or by `operations` and neither models nor hosts, while
        /// `targets.kserve` has a `hostTemplate` and no `services`: every host that fits the template counts as a
        /// service, also one that has none, and its requests go to the routes of `*`. A rule without any of these
        /// allows the same, and is for everything on purpose.
        UnlistedServices = "unlisted-services",
        /// A bypass or an ALLOW rule asks for nothing of callers, in `from` or `when`, but an address in a block that lies within
        /// private ones or holds some: `10.0.0.0/8`, `10.1.0.0/16`, `0.0.0.0/0`; or a DENY excepts whoever has one, of
        /// which the command tells. A single address is none.
        /// Behind a Service with `externalTrafficPolicy: Cluster` every client has a node's address, so it is open to all of
        /// them; at a sidecar's inbound listener a peer's address cannot be had and it never applies. Name peers by
        /// `principals`.
        NodeAddress = "node-address",
        /// Whoever has any token of an issuer whose `jwtRules` entry has no `audiences` is let in, also with one that
        /// was made for another application: by `requestPrincipals`, by a condition on `request.auth.principal`, or
        /// because a DENY refuses no others than those without a token. Or an entry without `audiences` stands beside one of
        /// the same issuer that has them: a token needs to satisfy one of the two, and policies cannot tell by which it came.
        AnyAudience = "any-audience",
        /// `jwksUri` is https, and by its name `jwksCluster` is that of another host or port. The cluster decides where
        /// keys come from, and whether by TLS: whoever can answer there can sign tokens.
        OtherCluster = "other-cluster",
        /// Claims are written to, or tokens or keys read from, a header that has another meaning: proxies and servers
        /// act on it, or write it themselves.
        ProtocolHeader = "protocol-header",
        /// A rule of an ALLOW policy says who may, by `from` or by a claim, and another says what, by `to` alone; they
        /// may stand in two policies for the same `models`. Rules are alternatives: everybody may do what the one with
        /// `to` says. Where both shall hold, they belong into one rule.
        RuleInTwo = "rule-in-two",
        /// An earlier entry of a list, of which the first that fits is the only one that applies, takes
        /// everything that this entry could take.
        Hidden = "hidden",
        /// A rule or policy says the same as one before it.
        Duplicate = "duplicate",
        /// A setting changes nothing where it stands. `defaultAction: ALLOW` is none for models that bodies name: a name
        /// that no policy is about needs an ALLOW policy.
        NoEffect = "no-effect",
        /// Every ALLOW policy is a dry run while `defaultAction` is DENY: nobody is let through.
        DryRunOnly = "dry-run-only",
        /// A policy or bypass asks for a peer's certificate. A filter knows no trust domain aliases, and before Envoy
        /// 1.38 it sees the first URI name, the first DNS name and the subject only.
        PeerNames = "peer-names",
        /// Not every rule was tried as a caller without a credential: there are too many rules, models and addresses for the
        /// time that the gateway takes when it loads a configuration. `modelgate check` takes more.
        NotTried = "not-tried",
        /// A condition on an address that a sidecar's inbound listener cannot vouch for. The peer's cannot be had there: it
        /// always holds in DENY and AUDIT, and never elsewhere. With `sourceAddress: LAST_FORWARDED_FOR`, and of
        /// `remoteIpBlocks` and `remote.ip` always, it is read from `x-forwarded-for`, which whoever calls the sidecar
        /// writes: it is good for what comes from a gateway, so name that in `principals` beside it, or refuse all others
        /// by a DENY with `notPrincipals`. And a condition on a header that says an address (`x-forwarded-for`, `x-real-ip`),
        /// which clients write on any listener.
        SourceAddress = "source-address",
        /// A request principal is not split at the place that its author probably thinks of.
        PrincipalSplit = "principal-split",
        /// A key set in the configuration holds a private key, for everybody to read who may read the resource.
        PrivateKey = "private-key",
        /// A key set in the configuration holds a shared secret: whoever may read the resource can sign tokens.
        SharedSecret = "shared-secret",
        /// The `sha256` of an API key is that of a text that everybody tries first, or of an example's: whoever sends it is let in.
        /// Make keys with `modelgate key new`. Only the command tells.
        GuessableKey = "guessable-key",
        /// A claim that `outputClaimToHeaders` cannot name, or that `usage.claim` names only in brackets.
        ClaimOutOfReach = "claim-out-of-reach",
        /// A header that copies for a shadow get may hold a credential, which then stands in plain text: whoever
        /// reads the WasmPlugin or the proxy's configuration has it. Give the shadow one that opens nothing else.
        PlainSecret = "plain-secret",
        /// `headers.keep` of a shadow names so many headers that credentials such as `x-api-key` are among them, or one of them,
        /// or `query.keep` names a parameter such as `access_token`. Of others than `x-api-key` the command tells alone.
        CopiedCredentials = "copied-credentials",
        /// A shadow sets or removes a header that says what the body is, as `content-encoding`. The body of a copy is the
        /// client's, whatever the header says, so that the shadow reads it wrong. Only the command tells.
        BodyHeader = "body-header",
        /// `compare.ignore` of a shadow names what holds all predictions, as `/predictions`: answers with other ones
        /// are `matched`.
        IgnoredPredictions = "ignored-predictions",
        /// A key of a set is not used.
        KeyLeftOut = "key-left-out",
        /// A rule without `issuer`: its keys vouch for tokens of any issuer.
        AnyIssuer = "any-issuer",
        /// A key set is fetched without TLS.
        PlainHttp = "plain-http",
        /// A rewrite's new path begins with text of the client's.
        CapturedPath = "captured-path",
        /// A rewrite's new authority ends with text of the client's.
        CapturedHost = "captured-host",
        /// A rewrite sets a header by which servers know who calls (`remote-user`, `x-auth-request-email`, `kubeflow-userid`,
        /// `x-user`) to text of the client's: whoever writes another name into the path is another caller to them. Only the
        /// command tells.
        CapturedIdentity = "captured-identity",
        /// An ALLOW names callers by a `*` within a name: `cluster.local/ns/prod*` and `system:serviceaccount:prod*` fit the
        /// namespace `production` as well, and `*example.com` of a claim `eve@evilexample.com`. Write what parts the names:
        /// `cluster.local/ns/prod/*`, `*@example.com`. Only the command tells.
        OpenEnd = "open-end",
        /// A path of `targets.metricsPaths` is one by which servers predict, explain or are administered: whoever may ask for
        /// metrics may make such calls. Only the command tells.
        MetricsPath = "metrics-path",
        /// The resource's `match` leaves no listener, so the plugin is not loaded: a gateway's listeners count as
        /// CLIENT.
        NotLoaded = "not-loaded",
        /// With `failStrategy: FAIL_OPEN` a plugin that cannot be loaded, or stops, lets every request through.
        FailsOpen = "fails-open",
        /// A plugin that stops is not loaded again: every request is refused until the proxy is restarted or the resource
        /// changes. `FAIL_RELOAD` loads it anew, and refuses requests until then.
        NotReloaded = "not-reloaded",
        /// In another phase than AUTHN the plugin runs behind Istio's own authentication or authorization, which
        /// then see the path and the headers that the client sent.
        Phase = "phase",
        /// A plugin without a selector in the root namespace is loaded into every proxy of the mesh.
        WholeMesh = "whole-mesh",
        /// The address of the image has neither a version nor a checksum: what is loaded may change by
        /// itself.
        UnpinnedImage = "unpinned-image",
    }
}
