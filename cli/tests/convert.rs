//! `modelgate convert` as one runs it: what becomes of the cases in `cli/tests/convert/`, what is said of them, and how files
//! are read. That the result decides as the originals do is tried in a mesh, by `tests/istio`.
#![cfg(test)]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/converted.rs"]
mod converted;
mod support;

use std::path::PathBuf;

use cases::Case;
use converted::{convert, made};
use serde_json::{Value, json};
use support::{modelgate, root};

const JWKS: &str = r#"'{"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "example", "x": "42QQP3D-ru36nnDYKbTPQNQ3353r9U4TbiWBdvxTUTM", "y": "vCQSlepZXQ8UmH99kBypUUIcdkYmjqNF6E6_v0GdyPo"}]}'"#;
const OTHER: &str = r#"'{"keys": [{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'"#;

fn all() -> Vec<Case> {
    let cases = cases::read(&root().join("cli/tests/convert")).expect("cases");
    let filled = |mut case: Case| {
        case.text =
            case.text.replace("$JWKS", JWKS).replace("$OTHER", OTHER).replace("$PORT", "8080");
        case
    };
    cases.into_iter().map(filled).collect()
}

#[test]
fn every_case_is_converted_as_it_says() {
    let cases = all();
    assert!(cases.len() > 70, "only {} cases", cases.len());
    for case in cases {
        let Some(made) = made(&case, &case.text) else { continue };
        let Case { name, verdict, arguments, text, .. } = case;

        // Whatever the order of the documents, and as another resource.
        let mut documents: Vec<&str> = text.split("---\n").collect();
        documents.reverse();
        let turned = convert(&documents.join("\n---\n"), &arguments);
        let plain = |text: &str| -> Vec<Value> {
            serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        assert_eq!(plain(&turned.stdout), plain(&made.stdout), "{name}");
        let kind = ["--kind".to_owned(), "TrafficExtension".to_owned()];
        let extension = convert(&text, &[&arguments[..], &kind].concat());
        let (extension, plugin) = (plain(&extension.stdout), plain(&made.stdout));
        assert_eq!(
            extension[0]["spec"]["wasm"]["pluginConfig"], plugin[0]["spec"]["pluginConfig"],
            "{name}"
        );
        let checked =
            modelgate(&["check", "-"], &convert(&text, &[&arguments[..], &kind].concat()).stdout);
        assert_eq!(checked.status, 0, "{name}: {}", checked.stdout);

        // And for programs.
        let format = ["--format".to_owned(), "json".to_owned()];
        let page = convert(&text, &[&arguments[..], &format].concat());
        let page: Value = serde_json::from_str(&page.stdout).expect("JSON");
        assert_eq!(page["verdict"], verdict, "{name}");
        assert_eq!(page["resources"], Value::from(plugin), "{name}");
    }
}

/// A folder of files for a test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("modelgate-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        for (file, text) in files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            std::fs::write(file, text).expect("a file");
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  rules: [{to: [{operation: {paths: [/NAME]}}]}]
";

#[test]
fn files_of_every_form_are_read() {
    let policy = |name: &str| POLICY.replace("NAME", name);
    let json: Value = serde_saphyr::from_str(&policy("c")).expect("YAML");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [json]}).to_string();
    let items = policy("d").lines().map(|line| format!("\n  {line}")).collect::<String>();
    let typed = items.replacen(
        "\n  apiVersion: security.istio.io/v1\n  kind: AuthorizationPolicy\n ",
        "\n-",
        1,
    );
    let typed =
        format!("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\nitems:{typed}");
    let folder = Folder::new(
        "forms",
        &[
            ("a.yaml", &format!("# a comment\n---\n{}---\n{}", policy("a"), policy("b"))),
            ("deeper/list.json", &list),
            ("deeper/still/typed.yml", &typed),
            ("values.yaml", "image: {tag: 1}\n"),
            ("service.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            (".hidden/x.yaml", "a: ["),
            ("notes.txt", "a: ["),
            ("LOUD.YAML", &policy("e")),
        ],
    );
    // A folder elsewhere, and one that leads in a circle.
    let elsewhere = Folder::new("elsewhere", &[("f.yaml", &policy("f"))]);
    #[cfg(unix)]
    for (name, leads_to) in [("linked", &elsewhere.0), ("circle", &folder.0)] {
        std::os::unix::fs::symlink(leads_to, folder.0.join(name)).expect("a link");
    }
    let path = folder.0.to_str().expect("UTF-8");
    let made = modelgate(&["convert", path], "");
    assert_eq!(made.status, 0, "{}", made.stderr);
    for part in [
        "AuthorizationPolicy istio-system/a (PATH/a.yaml:3)",
        "AuthorizationPolicy istio-system/b (PATH/a.yaml:10)",
        "AuthorizationPolicy istio-system/c (PATH/deeper/list.json:1)",
        "AuthorizationPolicy istio-system/d (PATH/deeper/still/typed.yml:4)",
        "AuthorizationPolicy istio-system/e (PATH/LOUD.YAML:1)",
        "AuthorizationPolicy istio-system/f (PATH/linked/f.yaml:1)",
    ] {
        let part = format!("# - {}\n", part.replace("PATH", path));
        assert!(made.stdout.contains(&part), "{part}{}", made.stdout);
    }
    assert!(made.stderr.contains("passed over: 1 Service, 1 without a kind"), "{}", made.stderr);

    for (arguments, input, told) in [
        (&["no-such-folder"][..], "", "no-such-folder"),
        (&["-"], "a: [", "standard input:1:"),
        (&["-"], "a: 1\nkind: X\na: 2\n", "standard input"),
        (&["-", "--keep", "prod/x"], POLICY, "--keep prod/x: there is no such object"),
        (&["-"], "", "nothing to convert"),
        (&["-"], "kind: Service\napiVersion: v1\n", "nothing to convert"),
    ] {
        let made = modelgate(&[&["convert"], arguments].concat(), input);
        assert_eq!(made.status, 2, "{input}");
        assert!(made.stderr.contains(told) && made.stdout.is_empty(), "{}", made.stderr);
    }
}

#[test]
fn comments_say_whence_each_part_is() {
    let made = modelgate(&["convert", "deploy/native"], "");
    let wanted =
        "      # AuthorizationPolicy istio-system/suspended (deploy/native/authorization.yaml:25)
      - name: suspended
        namespace: istio-system
        action: DENY
";
    assert!(made.stdout.contains(wanted), "{}", made.stdout);
    assert!(made.stdout.contains("        models: [prod/iris]\n"), "{}", made.stdout);
    // The page shows it as it is.
    let page = std::fs::read_to_string(root().join("docs/convert.md")).expect("a page");
    let (_, shown) = page.split_once("    authorization:\n").expect("an example");
    let (shown, _) = shown.split_once("\n\n").expect("its end");
    assert!(made.stdout.contains(&format!("    authorization:\n{shown}\n")), "{shown}");
}

#[test]
fn the_way_to_an_issuers_keys_is_made_once() {
    let rule = |name: &str, uri: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: {name}, namespace: istio-system}}\n\
             spec: {{selector: {{matchLabels: {{istio: ingressgateway}}}}, jwtRules: [{{issuer: {name}, jwksUri: \"{uri}\"}}]}}\n---\n"
        )
    };
    let kinds = |text: &str| -> Vec<String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).expect("YAML");
        let kind = |d: &Value| d["kind"].as_str().expect("a kind").to_owned();
        documents.iter().map(kind).collect()
    };
    let uri = "https://idp.example.com/keys";
    let two = format!("{}{}", rule("a", uri), rule("b", uri));
    let made = convert(&two, &[]).stdout;
    assert_eq!(kinds(&made), ["WasmPlugin", "ServiceEntry", "DestinationRule"], "{made}");
    assert!(made.contains("jwksCluster: outbound|443||idp.example.com"), "{made}");
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e, namespace: istio-system}\n\
                 spec: {hosts: [idp.example.com], ports: [{number: 443, name: https, protocol: HTTPS}]}\n";
    let made = convert(&format!("{two}{entry}"), &[]).stdout;
    assert_eq!(kinds(&made), ["WasmPlugin", "DestinationRule"], "{made}");
    let made = convert(&rule("a", "http://dex.auth.svc:5556/keys"), &[]).stdout;
    assert_eq!(kinds(&made), ["WasmPlugin"], "{made}");
    let made = convert(&rule("a", "http://idp.example.com/keys"), &[]).stdout;
    assert_eq!(kinds(&made), ["WasmPlugin", "ServiceEntry"], "{made}");
}
