//! Service-account tokens of kube-apiserver 1.36, whose keys it serves itself.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::Request;
use testbed::process::{Process, free_ports};
use testbed::wait::until;

use crate::keys;
use crate::programs::{READY, forged, named, names, output, parts, start};
use crate::side_by_side::{Case, Expected, Fetched, Token, Who, compare};

const ISSUER: &str = "https://kubernetes.default.svc";
const KEYS: &str = "/openid/v1/jwks";

struct Cluster {
    kubectl: PathBuf,
    config: PathBuf,
    api: SocketAddr,
    authority: PathBuf,
    _processes: [Process; 2],
    _folder: TempDir,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let tools = named("KUBERNETES_TOOLS")?;
        let folder = tempfile::Builder::new().prefix("modelgate-kubernetes-").tempdir()?;
        let state = folder.path();
        let [client, peer, api] = free_ports()?;
        let mut etcd = Command::new(tools.join("etcd"));
        etcd.arg(flag("--data-dir", &state.join("etcd")))
            .arg(format!("--listen-client-urls=http://{client}"))
            .arg(format!("--advertise-client-urls=http://{client}"))
            .arg(format!("--listen-peer-urls=http://{peer}"))
            .arg("--unsafe-no-fsync");
        let mut etcd = start("etcd", etcd)?;
        until("etcd to be ready", READY, async || {
            etcd.check_running()?;
            let answer = Request::get("/health").send(client).await;
            Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
        })
        .await?;
        // As after a rotation from RSA to EC: both keys verify, and the newer one signs nothing yet.
        let (rsa, rsa_public) = keys::rsa_pem()?;
        let ec = KeyPair::generate()?.public_key_pem();
        let token = keys::secret()?;
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = state.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let certificates = state.join("pki");
        let users = format!("{token},admin,admin,\"system:masters\"\n");
        let mut server = Command::new(tools.join("kube-apiserver"));
        server
            .arg(format!("--etcd-servers=http://{client}"))
            .arg(flag("--cert-dir", &certificates))
            .arg(flag("--service-account-key-file", &file("rsa.pub", &rsa_public)?))
            .arg(flag("--service-account-key-file", &file("ec.pub", &ec)?))
            .arg(flag("--service-account-signing-key-file", &file("rsa.pem", &rsa)?))
            .arg(flag("--token-auth-file", &file("users.csv", &users)?))
            .arg(format!("--secure-port={}", api.port()))
            .arg(format!("--service-account-issuer={ISSUER}"))
            .args([
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                // It would wait for a controller that makes a token for each account.
                "--disable-admission-plugins=ServiceAccount",
            ]);
        let server = start("kube-apiserver", server)?;
        let authority = certificates.join("apiserver.crt");
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "suite", "cluster": {
                "server": format!("https://{api}"),
                "certificate-authority": authority,
            }}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "suite", "context": {"cluster": "suite", "user": "admin"}}],
            "current-context": "suite",
        });
        let config = file("kubeconfig", &config.to_string())?;
        let mut cluster = Self {
            kubectl: tools.join("kubectl"),
            config,
            api,
            authority,
            _processes: [etcd, server],
            _folder: folder,
        };
        until("the API server to be ready", READY, async || {
            for process in &mut cluster._processes {
                process.check_running()?;
            }
            Ok(kubectl(&cluster.kubectl, &cluster.config, &["get", "--raw", "/readyz"]).await.ok())
        })
        .await?;
        Ok(cluster)
    }

    async fn kubectl(&self, words: &[&str]) -> Result<String> {
        kubectl(&self.kubectl, &self.config, words).await
    }

    /// A token of the account `trainer`.
    async fn token(&self, namespace: &str, more: &[&str]) -> Result<String> {
        self.kubectl(&[&["create", "token", "trainer", "-n", namespace], more].concat()).await
    }

    /// The keys, as who says nothing about himself gets them.
    async fn anonymous_keys(&self) -> Result<String> {
        let nobody = ["--as=system:anonymous", "--as-group=system:unauthenticated"];
        self.kubectl(&[&["get", "--raw", KEYS], nobody.as_slice()].concat()).await
    }
}

async fn kubectl(program: &Path, config: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.arg(flag("--kubeconfig", config)).arg("--request-timeout=30s").args(words);
    output(command).await
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_accounts() -> Result<()> {
    let cluster = Cluster::start().await?;
    for namespace in ["prod", "dev"] {
        cluster.kubectl(&["create", "namespace", namespace]).await?;
        cluster.kubectl(&["create", "serviceaccount", "trainer", "-n", namespace]).await?;
    }
    let pod = json!({
        "serviceAccountName": "trainer",
        "containers": [{"name": "train", "image": "train"}],
    });
    let overrides = json!({"apiVersion": "v1", "spec": pod}).to_string();
    let run = ["run", "trainer-0", "-n", "prod", "--image=train", "--overrides", &overrides];
    cluster.kubectl(&run).await?;

    let refused = cluster.anonymous_keys().await;
    ensure!(refused.is_err_and(|error| error.to_string().contains("forbidden")), "keys are open");
    let role = "--clusterrole=system:service-account-issuer-discovery";
    let to_all = "--group=system:unauthenticated";
    cluster.kubectl(&["create", "clusterrolebinding", "keys-for-all", role, to_all]).await?;
    let jwks =
        until("the binding to count", READY, async || Ok(cluster.anonymous_keys().await.ok()))
            .await?;
    let set: Value = serde_json::from_str(&jwks)?;
    let kinds: Vec<_> = keys::members(&set, ["kty", "use", "alg"]);
    ensure!(kinds == [["RSA", "sig", "RS256"], ["EC", "sig", "ES256"]], "{jwks}");

    let bound = cluster.token(
        "prod",
        &["--audience=models", "--bound-object-kind=Pod", "--bound-object-name=trainer-0"],
    );
    let bound = bound.await?;
    let unbound = cluster.token("prod", &["--audience=models"]).await?;
    let (header, claims) = parts(&unbound)?;
    ensure!(names(&header) == ["alg", "kid"], "{header}");
    ensure!(names(&claims) == ["aud", "exp", "iat", "iss", "jti", "kubernetes.io", "nbf", "sub"]);
    ensure!(claims["aud"] == json!(["models"]));
    ensure!(names(&claims["kubernetes.io"]) == ["namespace", "serviceaccount"], "{claims}");
    ensure!(parts(&bound)?.1["kubernetes.io"]["pod"]["name"] == "trainer-0");

    let wrong_audience = Expected::Refused(403, "Audiences in Jwt are not allowed");
    let rows = vec![
        Token::bearer(
            "of a pod",
            &bound,
            Expected::Passes(&["one", "namespace", "account", "accounts", "pod"]),
        ),
        Token::bearer(
            "of no pod",
            &unbound,
            Expected::Passes(&["one", "namespace", "account", "accounts"]),
        ),
        Token::bearer(
            "of another namespace",
            &cluster.token("dev", &["--audience=models"]).await?,
            Expected::Passes(&["account"]),
        ),
        Token::bearer(
            "for somebody else",
            &cluster.token("prod", &["--audience=vault"]).await?,
            wrong_audience,
        ),
        // Without --audience: the API server's own, which is the issuer.
        Token::bearer("for the API", &cluster.token("prod", &[]).await?, wrong_audience),
        Token::bearer(
            "forged",
            &forged(&unbound)?,
            Expected::Refused(401, "Jwt verification fails"),
        ),
    ];
    let account = format!("{ISSUER}/system:serviceaccount:prod");
    compare(&[Case {
        rule: json!({"issuer": ISSUER, "audiences": ["models"]}),
        jwks,
        fetched: Fetched {
            uri: format!("{ISSUER}{KEYS}"),
            from: cluster.api,
            tls: Some(json!({
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                "sni": "kubernetes.default.svc",
                "common_tls_context": {"validation_context": {
                    "trusted_ca": {"filename": cluster.authority},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": "kubernetes.default.svc"}},
                    ],
                }},
            })),
        },
        policies: vec![
            ("one", Who::Principal(format!("{account}:trainer"))),
            ("accounts", Who::Principal(format!("{account}:*"))),
            ("namespace", Who::When("request.auth.claims[kubernetes.io][namespace]", "prod")),
            ("account", Who::When("request.auth.claims[kubernetes.io][serviceaccount][name]", "trainer")),
            ("pod", Who::When("request.auth.claims[kubernetes.io][pod][name]", "trainer-0")),
        ],
        tokens: rows,
    }])
    .await
}
