//! The settings of `pluginConfig`, as an operator writes them. What they mean is decided where they
//! are compiled: `authn`, `authz`, `target`, `rewrite`, `split`, `shadow`.

use std::time::Duration;

use super::declare::{settings, words};
use super::values::{Entries, Json, Size};

settings! {
    /// The whole of `pluginConfig`. Every setting may be left out, but not all at once.
    pub struct PluginConfig {
        /// Whether decisions are carried out or only reported.
        mode: Mode = Mode::Enforce,
        /// Hosts of other applications behind the same gateway.
        exclude: Exclude,
        /// Who is calling.
        authentication: Authentication,
        /// Requests that need neither a token nor an ALLOW policy.
        bypass: Vec<Bypass>,
        /// Who may do what.
        authorization: Authorization,
        /// Where `source.ip` comes from.
        source_address: SourceAddress = SourceAddress::Auto,
        /// SPIFFE ids whose gateway headers are kept: a sidecar behind a modelgate gateway.
        trusted_peers: Vec<String>,
        /// Which addresses are models.
        targets: Targets,
        /// Path rewrites; the first that matches is the only one that applies.
        rewrites: Vec<Rewrite>,
        /// Weighted variants of a model.
        splits: Vec<Split>,
        /// Shadow deployments.
        shadows: Vec<Shadow>,
        /// What all shadows together may hold, for each worker.
        shadow_limits: ShadowLimits,
        /// Metrics and access-log fields.
        telemetry: Telemetry,
        /// What answers have cost: tokens, and how soon they came. docs/usage.md
        usage: Usage,
        /// How many requests and tokens callers have in a window of time. docs/quotas.md
        quotas: Vec<Quota>,
    }

    /// Hosts that modelgate leaves alone.
    pub struct Exclude {
        /// Host matches. A request to such a host passes without a decision; only headers that the
        /// gateway alone may set are taken off. Each needs a virtual host of its own on every listener, else its
        /// requests meet the routes of `*`. If its address is that of a model, it is decided like
        /// any other.
        hosts: Vec<String>,
    }

    /// JWT rules and API keys.
    pub struct Authentication {
        /// Istio's `RequestAuthentication.spec.jwtRules`.
        jwt_rules: Vec<JwtRule>,
        /// How remote key sets are kept.
        jwks: RemoteJwks,
        /// The cache of verified tokens.
        token_cache: TokenCache,
        /// Keys of machine clients.
        api_keys: ApiKeys,
    }

    /// Istio's `JWTRule`, field for field, and the cluster that fetches `jwksUri`.
    pub struct JwtRule {
        /// Exactly the `iss` of the tokens. May be absent with `jwksUri`: then tokens of any issuer are
        /// accepted. `apikey` is reserved.
        issuer: Option<String>,
        /// A token needs one of these in `aud`; empty: not checked.
        audiences: Vec<String>,
        /// Where the key set is fetched: `http://` or `https://`. Needs `jwksCluster`.
        jwks_uri: Option<String>,
        /// The key set itself, as a JSON text. Exactly one of `jwks` and `jwksUri` must be given. With
        /// public keys: whoever may read this resource could sign tokens with a shared secret.
        jwks: Option<String>,
        /// The Envoy cluster through which `jwksUri` is fetched, as
        /// `outbound|443||idp.example.com`. Its TLS settings are those of the cluster: whoever can
        /// answer in the issuer's place can mint tokens.
        jwks_cluster: Option<String>,
        /// Headers that carry the token. If neither headers nor parameters nor cookies are given:
        /// `authorization: Bearer` and the query parameter `access_token`, as in Istio.
        from_headers: Vec<JwtHeader>,
        /// Query parameters that carry the token.
        from_params: Vec<String>,
        /// Cookies that carry the token.
        from_cookies: Vec<String>,
        /// A header that receives the payload as it was sent, base64url. Clients cannot set it.
        output_payload_to_header: Option<String>,
        /// Headers that receive single claims. Clients cannot set them.
        output_claim_to_headers: Vec<ClaimToHeader>,
        /// Whether the token stays on the request, for the model to see: in its header, its query
        /// parameter or its cookie.
        forward_original_token: bool = false,
        /// How long a fetch of `jwksUri` may take, and how long a request may wait for the first one.
        timeout: Duration = Duration::from_secs(5),
        /// Claims that hold several values with spaces between them, besides `scope` and `permission`.
        space_delimited_claims: Vec<String>,
    }

    /// Istio's `JWTHeader`.
    pub struct JwtHeader {
        /// Name of the header.
        name: String,
        /// Text before the token.
        prefix: String = String::new(),
    }

    /// Istio's `ClaimToHeader`.
    pub struct ClaimToHeader {
        /// Name of the header.
        header: String,
        /// Path of the claim, with `.` between nested names. A claim with a dot in its own name is out
        /// of reach.
        claim: String,
    }

    /// How remote key sets are kept.
    pub struct RemoteJwks {
        /// Age at which a set is fetched again.
        refresh: Duration = Duration::from_secs(300),
        /// Age up to which an old set serves while fetches fail.
        max_stale: Duration = Duration::from_secs(24 * 3600),
        /// Largest answer that is read.
        max_bytes: Size = Size::mib(1),
    }

    /// The cache of verified tokens.
    pub struct TokenCache {
        /// For each worker; `0B` is off. Beside it up to 512 tokens with a wrong signature are
        /// remembered by their hashes, in 40 KiB.
        bytes: Size = Size::mib(4),
    }

    /// API keys and where they are carried.
    pub struct ApiKeys {
        /// The header that carries the key. It is removed before the model sees the request.
        header: String = "x-api-key".to_owned(),
        /// Text before the key, to the letter: `"Bearer "` beside `header: authorization` lets in
        /// clients that know nothing else, as those of OpenAI's API. If `jwtRules` look at the same
        /// header, only what begins with `mg_`, as `modelgate key new` makes keys, is taken for a key.
        prefix: String = String::new(),
        /// The keys.
        keys: Vec<ApiKey>,
    }

    /// One API key, known by its hash.
    pub struct ApiKey {
        /// The identity is `apikey/<name>`.
        name: String,
        /// SHA-256 of the key in 64 hexadecimal digits; `modelgate key new` makes both.
        sha256: String,
        /// Claims that policies see, as those of a token: texts and lists of texts. A boolean or number is
        /// never compared.
        claims: Json,
    }

    /// A named rule for requests that need neither a token nor an ALLOW policy.
    pub struct Bypass {
        /// Names the rule in access logs, in the place of a policy. No two may have the same.
        name: String,
        /// Who may use it: addresses and mTLS peers; empty: anybody.
        from: Vec<From>,
        /// What it opens. At least one.
        to: Vec<To>,
    }

    /// Istio's `AuthorizationPolicy`, in one list.
    pub struct Authorization {
        /// The answer where no ALLOW policy applies.
        default_action: DefaultAction = DefaultAction::Allow,
        /// The policies.
        policies: Vec<Policy>,
    }

    /// One policy.
    pub struct Policy {
        /// Names it in logs and metrics, together with the namespace. No two may have the same.
        name: String,
        /// Part of its name, and the namespace of service accounts that are given without one.
        namespace: String = String::new(),
        /// What a match means.
        action: Action = Action::Allow,
        /// Counted and logged only, never carried out. An ALLOW policy that is tried this way does not
        /// cause other requests to be denied.
        dry_run: bool = false,
        /// Model matches. The policy exists only for these, as with a selector; empty: for every request.
        models: Vec<String>,
        /// Any of these matches; none: the policy never matches.
        rules: Vec<Rule>,
    }

    /// Istio's `Rule`.
    pub struct Rule {
        /// Any of these; empty: any caller.
        from: Vec<From>,
        /// Any of these; empty: any operation.
        to: Vec<To>,
        /// All of these.
        when: Vec<Condition>,
    }

    /// Istio's `Rule.From`.
    pub struct From {
        /// The source.
        source: Source,
    }

    /// Istio's `Source`: fields are ANDed, the values of one are ORed.
    pub struct Source {
        /// Peer identities by mTLS, as `cluster.local/ns/prod/sa/client`, without `spiffe://`.
        principals: Vec<String>,
        /// None of these peer identities.
        not_principals: Vec<String>,
        /// `<issuer>/<subject>` of the token, or `apikey/<name>`; `*` is any caller with a credential. The last `/`
        /// splits, as in Istio: a subject with a `/` in it, as SPIFFE's and GitHub's, is compared in `when`, by
        /// `request.auth.claims[sub]`. After an issuer that ends in `/` there are two.
        request_principals: Vec<String>,
        /// None of these.
        not_request_principals: Vec<String>,
        /// Namespaces of the peer.
        namespaces: Vec<String>,
        /// None of these namespaces.
        not_namespaces: Vec<String>,
        /// Service accounts of the peer, `sa` or `namespace/sa`.
        service_accounts: Vec<String>,
        /// None of these service accounts.
        not_service_accounts: Vec<String>,
        /// Trust domains of the peer, as `cluster.local`, with a `*` at one end or alone.
        trust_domains: Vec<String>,
        /// None of these trust domains.
        not_trust_domains: Vec<String>,
        /// Addresses of the caller, IPv4 and IPv6, single or as CIDR; see `sourceAddress`.
        ip_blocks: Vec<String>,
        /// None of these addresses.
        not_ip_blocks: Vec<String>,
        /// Addresses of the client as Envoy finds it in `x-forwarded-for`.
        remote_ip_blocks: Vec<String>,
        /// None of these addresses.
        not_remote_ip_blocks: Vec<String>,
    }

    /// Istio's `Rule.To`.
    pub struct To {
        /// The operation.
        operation: Operation,
    }

    /// Istio's `Operation`, and modelgate's models and operations.
    pub struct Operation {
        /// The whole of `:authority`, with its port, in any case.
        hosts: Vec<String>,
        /// None of these.
        not_hosts: Vec<String>,
        /// Ports of the listener, in quotes.
        ports: Vec<String>,
        /// None of these.
        not_ports: Vec<String>,
        /// The method, in upper case; each is a value of its own.
        methods: Vec<String>,
        /// None of these.
        not_methods: Vec<String>,
        /// The path as the client sent it, without query. `{*}` is one segment, `{**}` any number; else one `*` at
        /// an end. Regular expressions are not read.
        paths: Vec<String>,
        /// None of these.
        not_paths: Vec<String>,
        /// The model that is reached, whatever the address was.
        models: Vec<String>,
        /// None of these.
        not_models: Vec<String>,
        /// What is done with the model: `predict`, `feedback`, `explain`, `metadata`, `status`, `docs`,
        /// `metrics`, `admin` or `other`. The last three stay closed unless a rule names them; `*` does not.
        operations: Vec<String>,
        /// None of these.
        not_operations: Vec<String>,
    }

    /// Istio's `Condition`.
    pub struct Condition {
        /// The attribute: `source.ip`, `remote.ip`, `source.principal`, `source.namespace`,
        /// `source.serviceAccount`, `source.trustDomain`, `request.auth.principal`, `request.auth.audiences`,
        /// `request.auth.presenter`, `request.auth.claims[name]`, `request.headers[name]`,
        /// `destination.ip`, `destination.port` or `connection.sni`. A claim within another is named by a bracket
        /// for each: `request.auth.claims[realm_access][roles]`.
        key: String,
        /// Any of these. Claims are compared as texts, or as lists of texts: one that is a boolean or a number fits
        /// no value, neither `"true"` nor `*`, as in Istio.
        values: Vec<String>,
        /// None of these.
        not_values: Vec<String>,
    }

    /// Which addresses are models.
    pub struct Targets {
        /// Families whose addresses are read; an empty list reads no models.
        families: Vec<Family> = vec![Family::SeldonV1, Family::SeldonV2],
        /// Where Seldon v1 deployments are reached: the first segment of their paths.
        seldon_prefix: String = "/seldon".to_owned(),
        /// Which host belongs to which namespace, because addresses of Seldon v2 do not name one; the
        /// most exact host counts, as in Envoy: `a.example.com` before `*.example.com` before `*`.
        seldon_v2: Vec<SeldonV2> = vec![SeldonV2 {
            namespace: "seldon-mesh".to_owned(), hosts: vec!["*".to_owned()] }],
        /// KServe's templates.
        kserve: KServe,
        /// The namespaces that hold LLMInferenceServices of KServe's: `/{namespace}/{name}/...` is one, and so is
        /// `publishers/{namespace}/models/{model}` at the start of a path or in the header `x-gateway-model-name`, on
        /// every host. A model that is published under another name than its service's (`spec.model.name`, LoRA
        /// adapters) is one of `fixed`, with that path as its `pathPrefix`.
        llmisvc: Vec<String>,
        /// Routes that choose the model themselves.
        fixed: Vec<Fixed>,
        /// Servers of OpenAI's kind, whose requests name the model in their body: docs/bodies.md.
        openai: Vec<OpenAi>,
        /// Models that hold adapters, as `prod/llama` or `prod/*`. Their predictions name one in the body's `model`: the
        /// model's own name is the model itself, any other `prod/llama/<that>`. Empty: the body is not read there.
        body_models: Vec<String>,
        /// What is kept back of bodies until their `model` is known.
        body: Body,
        /// Suffixes of paths that are metrics, with any method.
        metrics_paths: Vec<String> = vec!["/prometheus".to_owned(), "/metrics".to_owned()],
        /// Paths of servers of your own that are predictions with POST, as the server sees them:
        /// `/classify_image` of a BentoML service, `/` of Ray Serve. The whole path, not a prefix. One
        /// that is known to be something else is refused.
        predict_paths: Vec<String>,
    }

    /// The namespace of a Seldon v2 installation.
    pub struct SeldonV2 {
        /// The namespace that the model's name gets.
        namespace: String,
        /// Host matches.
        hosts: Vec<String>,
    }

    /// KServe's ingress settings.
    pub struct KServe {
        /// `domainTemplate`, as `{name}-{namespace}.example.com`.
        host_template: Option<String>,
        /// Namespaces that hold inference services; decides where the template alone cannot.
        namespaces: Vec<String>,
        /// `pathTemplate`, as `/serving/{namespace}/{name}`.
        path_template: Option<String>,
        /// The services that there are, as `prod/iris`; addresses of others are refused. Empty: every
        /// address of a template is taken for that of a service, and where `families` has `seldon-v2`,
        /// paths below `/v2` are refused on the hosts of the template: without a service of that name
        /// the routes of every host would take them.
        services: Vec<String>,
    }

    /// Hosts of a server of OpenAI's kind, or of a gateway before several.
    pub struct OpenAi {
        /// The namespace that the model's name gets: `llm` makes `llm/meta-llama/Llama-3.1-8B-Instruct` of it.
        namespace: String,
        /// Host matches. At least one.
        hosts: Vec<String>,
        /// What paths begin with before `/v1`; empty: nothing. Every path below it is the server's.
        path_prefix: String = String::new(),
    }

    /// Bodies that are kept back. Beyond either the answer is 413.
    pub struct Body {
        /// Bytes of one request.
        max_kept: Size = Size::mib(1),
        /// Bytes of all requests together, for each worker; a quarter of it is for headers alone.
        total: Size = Size::mib(32),
    }

    /// A route that chooses the model itself. It takes precedence over headers and paths. Of several that
    /// fit the more exact host decides, then the longer prefix, whatever the order of the list.
    pub struct Fixed {
        /// Host matches; empty: every host, also those that other entries name. A host with a virtual host of its own
        /// needs the route there.
        hosts: Vec<String>,
        /// Paths that begin with these segments. A path that begins with the text alone (`/chats` for
        /// `/chat`) is refused, because a route by text would take it; write `/chat/` where the route
        /// has that slash: then such paths are another's, and `/chat` itself is refused.
        path_prefix: String = "/".to_owned(),
        /// `namespace/name`.
        model: String,
    }

    /// One rewrite.
    pub struct Rewrite {
        /// Names the rule in warnings. No two may have the same.
        name: String,
        /// What it applies to.
        r#match: RewriteMatch,
        /// Template of the new path; absent: unchanged. The query is kept.
        path: Option<String>,
        /// Template of the new authority; empty: unchanged. Captured text in it may hold letters, digits and
        /// `-._~`, so that what stands behind it stays the end of the host.
        authority: String = String::new(),
        /// Headers to set, each with a template. Clients cannot set them, on no address: their own
        /// lines are removed. The exceptions are headers that select models (`seldon`, `namespace`,
        /// `seldon-model`, `x-gateway-model-name`) where a family reads them, that belong to the connection or carry
        /// credentials, `seldon-puid`, `accept...` and
        /// `user-agent`. Headers of claims, `x-modelgate-...` and those that only the proxy sets are refused;
        /// credentials, variants and what servers take for a proxy's word (`forwarded`, `x-forwarded-user`,
        /// `x-real-ip`, `x-http-method-override`) may be set, but not with variables.
        set_headers: Entries<String> = Entries(Vec::new()),
        /// Headers to remove, also where a client writes `_` for `-` in their names.
        remove_headers: Vec<String>,
        /// The model that is reached, where neither the new path nor the old one names it.
        target: Option<RewriteTarget>,
    }

    /// What a rewrite applies to: all of it must match.
    pub struct RewriteMatch {
        /// Pattern of the path. `{name}` catches one segment or a part of one, `{name=**}` at the end the
        /// rest of the path.
        path: String,
        /// Any of these; empty: any.
        methods: Vec<String>,
        /// Host matches; empty: any.
        hosts: Vec<String>,
        /// All of these.
        headers: Vec<HeaderMatch>,
    }

    /// A header and an Istio string match.
    pub struct HeaderMatch {
        /// Name of the header.
        name: String,
        /// String match; `*` is any value.
        value: String,
    }

    /// Templates of the model that a rewrite reaches.
    pub struct RewriteTarget {
        /// Its namespace.
        namespace: String,
        /// Its name.
        model: String,
    }

    /// Weighted variants of a model.
    pub struct Split {
        /// Names the split. Renaming it assigns the callers to variants anew.
        name: String,
        /// Model matches.
        models: Vec<String>,
        /// All of these: callers to whom the split applies. The first split that fits is the only one
        /// that applies.
        when: Vec<Condition>,
        /// The header that a VirtualService matches on. Clients cannot set it.
        header: String = "x-modelgate-variant".to_owned(),
        /// What identifies a caller, who then keeps its variant: `principal`, `header:<name>`,
        /// `cookie:<name>` or `none`.
        sticky_by: String = "none".to_owned(),
        /// The cookie, with `cookie:<name>`.
        cookie: SplitCookie,
        /// The variants.
        variants: Vec<Variant>,
    }

    /// Attributes of a sticky cookie.
    pub struct SplitCookie {
        /// How long the browser keeps it.
        max_age: Duration = Duration::from_secs(24 * 3600),
        /// Its path.
        path: String = "/".to_owned(),
    }

    /// One variant.
    pub struct Variant {
        /// The value of the header.
        name: String,
        /// Its share, relative to the sum of all weights.
        weight: u32,
    }

    /// A shadow deployment.
    pub struct Shadow {
        /// Names the shadow in metrics and logs. No two may have the same.
        name: String,
        /// Model matches.
        models: Vec<String>,
        /// Which operations are copied.
        operations: Vec<String> = vec!["predict".to_owned()],
        /// All of these: only requests of such callers are copied.
        when: Vec<Condition>,
        /// Percentage of the requests that are copied, 0 to 100; 0 is off.
        percent: f64 = 100.0,
        /// What a request is sampled by. Which ids are sampled depends on the configuration's text: clients
        /// may choose an id, but not whether it is. A caller stays sampled or not.
        sample_by: SampleBy = SampleBy::Request,
        /// The Envoy cluster of the shadow, as `outbound|8000||iris-v2.prod.svc.cluster.local`.
        cluster: String,
        /// Default: the host in the cluster's name.
        authority: Option<String>,
        /// Template with `{namespace}`, `{model}` and `{predictor}`; default: the path that goes upstream,
        /// without what the live model's route takes off. What else a route rewrites is not known here.
        path: Option<String>,
        /// How long the shadow may take, up to 10m.
        timeout: Duration = Duration::from_secs(2),
        /// Headers of the copy.
        headers: ShadowHeaders,
        /// Query of the copy.
        query: ShadowQuery,
        /// What this shadow may hold, for each worker.
        limits: Limits,
        /// When to leave a failing shadow alone.
        breaker: Breaker,
        /// How answers are compared.
        compare: Compare,
        /// Whether logs may show the values of a mismatch, which are part of what models were asked and
        /// answered.
        log_values: bool = false,
    }

    /// Headers of the copy. By itself it carries what the model needs (`content-type`, `accept` and
    /// their kin), trace and request ids (W3C without `baggage`, B3, `x-request-id`, `seldon-puid`) and
    /// what chooses a model (`seldon`, `namespace`, `seldon-model`), and nothing else of the request.
    pub struct ShadowHeaders {
        /// Headers to set, each with its value; `authorization` too, if the shadow asks for a credential
        /// of its own. That stands here in plain text. The baseline gets none of them.
        set: Entries<String> = Entries(Vec::new()),
        /// Headers to remove.
        remove: Vec<String>,
        /// Headers of the request that the shadow may see besides; `*` at the end stands for any end. An
        /// identity header, as `outputClaimToHeaders` makes them, has to be named in full. Those of
        /// tokens and API keys, `authorization` and `cookie` never reach a shadow.
        keep: Vec<String>,
    }

    /// Query of the copy.
    pub struct ShadowQuery {
        /// Parameters that the shadow may see, by their decoded names, besides `json`, the payload of Seldon's
        /// wrapper, at its paths. A `GET` that would lose its whole query is not copied.
        keep: Vec<String>,
    }

    /// What one shadow may hold, for each worker.
    pub struct Limits {
        /// Largest request that is copied.
        request_bytes: Size = Size::mib(1),
        /// Largest answer that is kept for comparison.
        response_bytes: Size = Size::mib(1),
        /// Copies under way at once. Four times as many requests may arrive at once.
        in_flight: u32 = 64,
        /// Bytes held at once: requests and answers that the filter collects, and copies under way,
        /// which the proxy holds until they are answered or too late.
        buffered_bytes: Size = Size::mib(8),
    }

    /// When to leave a failing shadow alone.
    pub struct Breaker {
        /// Consecutive failures that open it.
        failures: u32 = 20,
        /// How long it stays open before a probe.
        retry_after: Duration = Duration::from_secs(30),
    }

    /// How answers are compared.
    pub struct Compare {
        /// Relative to the larger of the two numbers.
        relative_tolerance: f64 = 1e-6,
        /// In the unit of the numbers.
        absolute_tolerance: f64 = 1e-9,
        /// JSON pointers (RFC 6901) that do not count; `*` stands for any one token.
        ignore: Vec<String>,
        /// JSON pointers of lists whose order does not count.
        unordered: Vec<String>,
        /// JSON pointers below which numbers are values, as boxes, forecasts, embeddings and several targets
        /// are, and not scores of classes or labels: they are compared one by one, within the tolerances.
        /// What is called `box`, `boxes`, `embedding` or `embeddings`, or ends so, is taken for that anyway.
        values: Vec<String>,
        /// Members that name the answer and not the prediction, so that they differ between two answers of
        /// one model: `/id`, `/model_name` and `/model_version` of the Open Inference Protocol, `/meta` of
        /// Seldon, `/id`, `/created`, `/model`, `/system_fingerprint`, `/usage` and such of OpenAI and its like.
        volatile: Volatile = Volatile::Ignore,
        /// Differences recorded for one pair.
        max_differences: u32 = 8,
        /// The live model's cluster, which then gets a second copy: what differs between the live model's
        /// two answers excuses differences of that size. Empty: no second copy.
        baseline_cluster: String = String::new(),
        /// The path of that copy, a template as `path`; default: the path that goes upstream. Needed where
        /// the live model's route rewrites.
        baseline_path: Option<String>,
    }

    /// What all shadows together may hold, for each worker.
    pub struct ShadowLimits {
        /// Bytes held at once, copies under way with them.
        buffered_bytes: Size = Size::mib(32),
    }

    /// Metrics and access-log fields.
    pub struct Telemetry {
        /// How many models get a label value of their own. Names of the configuration have theirs for good.
        /// Others earn one by three answers with 2xx, a second apart or more; when all are taken, the
        /// least used of these makes room, at most once in ten minutes for each worker. Its series stay as
        /// they are, and it counts as `other` from then on.
        model_labels: Labels,
        /// How many policies get a label value of their own.
        policy_labels: Labels,
        /// Whether filter state is written for access logs: `wasm.modelgate.model` and others. Costs host
        /// calls.
        access_log: bool = false,
    }

    /// What answers have cost, as their servers count it.
    pub struct Usage {
        /// Model matches: predictions whose answers are read while they stream by, JSON and server-sent events; empty:
        /// none. Of servers that do not say what an answer has cost there is nothing to count.
        models: Vec<String>,
        /// A claim by which tokens are counted besides, as `team`, with `.` between nested names, or each name in brackets, as
        /// `[https://example.com/team]`: a text, or the only one of a list. Callers without it are counted as `none`.
        claim: Option<String>,
        /// How many values of the claim get a label value of their own for each worker, those that come first; 10,000 at most.
        claim_labels: Labels,
    }

    /// How many requests and tokens callers have in a window of time, in one proxy with all its workers. What is allowed
    /// and goes beyond is answered with 429.
    pub struct Quota {
        /// Names it in access logs, in the place of a policy. Its counts belong to it: they outlast changes of all else.
        name: String,
        /// Model matches: requests for these count.
        models: Vec<String>,
        /// Operations that count.
        operations: Vec<String> = vec!["predict".to_owned()],
        /// Conditions, as in a policy: whom the quota is for. All of them hold; empty: everybody.
        when: Vec<Condition>,
        /// What has a count of its own: `principal`, `claim:<name>` with a name as in `usage.claim`, `header:<name>` as policies
        /// see it, or `none`, by which all requests share one. Requests without it share one.
        by: String = "principal".to_owned(),
        /// Whether each model has counts of its own.
        per_model: bool = false,
        /// At most so many requests in a window.
        requests: Option<u32>,
        /// No more requests once their answers have cost so many tokens, input and output, in a window. Their answers are
        /// read as those of `usage.models`. A stream that does not say what it costs is charged an output token for each of
        /// its events.
        tokens: Option<u32>,
        /// How long a window is, 1s to 744h. Windows begin at whole multiples of that since 1970, in UTC.
        window: Duration = Duration::from_secs(3600),
        /// Who counts together.
        scope: Scope = Scope::Pod,
    }

    /// A bound on label values.
    pub struct Labels {
        /// The rest are counted as `other`.
        max: u32 = 500,
    }
}

words! {
    /// Whether members count that differ by nature.
    pub enum Volatile {
        /// They do not count.
        Ignore = "IGNORE",
        /// They are compared as any other.
        Compare = "COMPARE",
    }

    /// Whether decisions are carried out.
    pub enum Mode {
        /// Decisions are carried out.
        Enforce = "ENFORCE",
        /// Decisions are counted and logged; nothing is changed, refused or shadowed.
        Report = "REPORT",
    }

    /// The answer where no ALLOW policy applies.
    pub enum DefaultAction {
        /// As Istio has it.
        Allow = "ALLOW",
        /// Fail closed.
        Deny = "DENY",
    }

    /// What a matching policy means.
    pub enum Action {
        /// Lets the request through.
        Allow = "ALLOW",
        /// Refuses it.
        Deny = "DENY",
        /// Counts it.
        Audit = "AUDIT",
        /// Istio's delegation to an external authorizer; refused, because a filter cannot do it.
        Custom = "CUSTOM",
    }

    /// Where `source.ip` comes from.
    pub enum SourceAddress {
        /// The direct peer: `source.address` where it is just that, else the last element of
        /// `x-forwarded-for`, which a gateway appends itself; not available at a sidecar's inbound listener.
        Auto = "AUTO",
        /// The last element of `x-forwarded-for`.
        LastForwardedFor = "LAST_FORWARDED_FOR",
        /// Not available: conditions on it match in DENY and AUDIT, and not in ALLOW.
        Unavailable = "UNAVAILABLE",
    }

    /// A family of model addresses.
    pub enum Family {
        /// Seldon Core v1.
        SeldonV1 = "seldon-v1",
        /// Seldon Core v2.
        SeldonV2 = "seldon-v2",
        /// KServe.
        KServe = "kserve",
        /// KServe's LLMInferenceServices.
        LlmIsvc = "llmisvc",
        /// Servers of OpenAI's kind.
        OpenAi = "openai",
    }

    /// Who counts together.
    pub enum Scope {
        /// The workers of one proxy.
        Pod = "POD",
        /// All proxies, by a rate limit service; refused, because this version asks none.
        Global = "GLOBAL",
    }

    /// What a request is sampled by.
    pub enum SampleBy {
        /// `x-request-id`.
        Request = "request",
        /// The caller's identity.
        Principal = "principal",
    }
}
