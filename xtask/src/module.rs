//! The module: built for release, stripped of what no proxy reads, and checked.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use walrus::{ImportKind, Module, ModuleConfig};

use crate::project::{self, Project, WASM};
use crate::tools;
use modelgate_local::sh::{self, Log};

/// What the module may weigh: it is pulled by every gateway at its start.
pub const MAX_BYTES: usize = 1 << 20;

/// What a proxy looks for, or calls, in this module; and nothing besides: a callback that does nothing
/// costs a request as much as one that does.
const EXPORTS: &[&str] = &[
    "memory",
    "malloc",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_delete",
];

/// Callbacks of the module's own that take the place of the SDK's.
const REPLACED: &[(&str, &str)] =
    &[("modelgate_on_http_call_response", "proxy_on_http_call_response")];

/// What is looked at, as the names of tests.
pub const CHECKS: [&str; 3] = ["module::imports", "module::exports", "module::size"];

/// One way to be wrong, and what was found.
#[derive(Debug)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What is wrong; empty if all is well.
    pub wrong: Vec<String>,
}

/// Builds `target/modelgate.wasm`, checks it, and says how large it is.
pub fn build(project: &Project) -> Result<PathBuf> {
    let (path, checks) = build_and_check(project)?;
    let wrong: Vec<String> = checks.into_iter().flat_map(|c| c.wrong).collect();
    if wrong.is_empty() {
        return Ok(path);
    }
    bail!("{} cannot serve as a module:\n  {}", project.show(&path), wrong.join("\n  "))
}

/// Builds and trims the module, and returns what the checks found.
pub fn build_and_check(project: &Project) -> Result<(PathBuf, Vec<Check>)> {
    project::target(WASM)?;
    println!("building the module (release; the first time takes a minute or two)");
    let start = Instant::now();
    // An rlib beside the cdylib would rule out link-time optimization of the whole.
    let mut cargo = project.cargo(["rustc", "--package=modelgate", "--lib", "--profile=module"]);
    cargo.args(["--target", WASM, "--crate-type=cdylib", "--config", &flags(project)]);
    let mut log = Log::create(project.target.join("test-logs/build.log"))?;
    sh::quietly(&mut cargo, &mut log)?;
    let built = project.target.join(WASM).join("module/modelgate.wasm");
    let bytes = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let trimmed = trim(&bytes).with_context(|| format!("in {}", built.display()))?;
    let module = optimized(project, &trimmed, &mut log)?;
    let checks = check(&module)?;
    let path = project.target.join("modelgate.wasm");
    // Renamed into place: a running Envoy may have the old one open.
    let new = path.with_extension("wasm.new");
    std::fs::write(&new, &module).with_context(|| format!("writing {}", new.display()))?;
    std::fs::rename(&new, &path).with_context(|| format!("writing {}", path.display()))?;
    println!(
        "{}: {} KiB of at most {} KiB ({})",
        project.show(&path),
        module.len().div_ceil(1024),
        MAX_BYTES / 1024,
        sh::seconds(start.elapsed())
    );
    Ok((path, checks))
}

/// The same module, smaller. What was optimized before, by the same optimizer in the same way, is not optimized again.
fn optimized(project: &Project, trimmed: &[u8], log: &mut Log) -> Result<Vec<u8>> {
    let folder = project.target.join(WASM).join("module");
    let (before, after) = (folder.join("trimmed.wasm"), folder.join("optimized.wasm"));
    let new = after.with_extension("new");
    let (mut command, by) = (tools::optimize(project, &before, &new)?, after.with_extension("by"));
    let how = format!("{command:?}\n{}", tools::optimizer(project)?);
    let known = std::fs::read(&before).is_ok_and(|known| known == trimmed)
        && std::fs::read(&by).is_ok_and(|known| known == how.as_bytes());
    if let Some(module) = std::fs::read(&after).ok().filter(|_| known) {
        return Ok(module);
    }
    // What an end in between leaves is taken for no module of this one.
    let _ = std::fs::remove_file(&after);
    for (path, bytes) in [(&before, trimmed), (&by, how.as_bytes())] {
        // A copy of the folder may share its files.
        let _ = std::fs::remove_file(path);
        std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    sh::quietly(&mut command, log)?;
    std::fs::rename(&new, &after).with_context(|| format!("writing {}", after.display()))?;
    std::fs::read(&after).with_context(|| format!("reading {}", after.display()))
}

/// The compiler's flags.
fn flags(project: &Project) -> String {
    // Half of what LLVM takes for code that shall be small: eight kibibytes less, and no more instructions.
    let inlined = "-Cllvm-args=-inline-threshold=25".to_owned();
    let flags = std::iter::once(inlined).chain(project.remapped());
    // Strings in quotes are written alike in Rust and TOML, but for characters that no path has.
    format!("target.{WASM}.rustflags={:?}", flags.collect::<Vec<_>>())
}

/// The module as it is published: with the callbacks that it needs, and without whatever only others
/// reach; without names, producers and debug information.
pub fn trim(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = parse(module)?;
    for (own, replaced) in REPLACED {
        let Some(id) = module.exports.iter().find(|e| e.name == *own).map(|e| e.id()) else {
            bail!("it does not export {own}");
        };
        // Also where it is missing: then there is nothing to replace.
        let _ = module.exports.remove(replaced);
        module.exports.get_mut(id).name = (*replaced).to_owned();
    }
    let unused = |name: &str| !EXPORTS.contains(&name);
    let unused = module.exports.iter().filter(|e| unused(&e.name)).map(|e| e.id());
    for id in unused.collect::<Vec<_>>() {
        module.exports.delete(id);
    }
    let sections = module.customs.iter().map(|(id, _)| id).collect::<Vec<_>>();
    for id in sections {
        module.customs.delete(id);
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn parse(module: &[u8]) -> Result<Module> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    config.parse(module).context("it is not a WebAssembly module")
}

/// Looks for everything that would keep the module from running in a proxy.
pub fn check(bytes: &[u8]) -> Result<Vec<Check>> {
    let module = parse(bytes)?;
    let foreign = module.imports.iter().filter(|import| {
        let function = matches!(import.kind, ImportKind::Function(_));
        !(function && import.module == "env" && import.name.starts_with("proxy_"))
    });
    let imports = foreign.map(|import| {
        let (from, name) = (&import.module, &import.name);
        format!("imports {from}.{name}: a proxy offers only functions env.proxy_*")
    });
    let exported = |name: &str| module.exports.iter().any(|e| e.name == name);
    let missing: Vec<&str> = EXPORTS.iter().copied().filter(|name| !exported(name)).collect();
    let more = module.exports.iter().map(|e| &*e.name).filter(|name| !EXPORTS.contains(name));
    let more: Vec<&str> = more.collect();
    let exports = [("does not export", missing), ("exports for nobody", more)];
    let exports = exports.into_iter().filter(|(_, names)| !names.is_empty());
    let exports = exports.map(|(what, names)| format!("{what} {}", names.join(", ")));
    let size = (bytes.len() > MAX_BYTES)
        .then(|| format!("weighs {} bytes: at most {MAX_BYTES} are allowed", bytes.len()));
    let found = [imports.collect(), exports.collect(), Vec::from_iter(size)];
    Ok(CHECKS.into_iter().zip(found).map(|(name, wrong)| Check { name, wrong }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        CodeSection, CustomSection, EntityType, ExportKind, ExportSection, Function,
        FunctionSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, TypeSection,
        ValType,
    };

    /// A module with these imports and exports, and `padding` bytes of code.
    fn module(imports: &[(&str, &str, EntityType)], exports: &[&str], padding: usize) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut import_section = ImportSection::new();
        for (module, name, ty) in imports {
            import_section.import(module, name, *ty);
        }
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: 1,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut export_section = ExportSection::new();
        for name in exports {
            let kind = if *name == "memory" { ExportKind::Memory } else { ExportKind::Func };
            export_section.export(name, kind, 0);
        }
        let mut function = Function::new([]);
        function.raw(vec![0x01; padding]);
        function.instructions().end();
        let mut code = CodeSection::new();
        code.function(&function);
        let mut module = Module::new();
        module
            .section(&types)
            .section(&import_section)
            .section(&functions)
            .section(&memories)
            .section(&export_section)
            .section(&code)
            .section(&CustomSection { name: "name".into(), data: (&[0u8; 40]).into() });
        module.finish()
    }

    fn wrong(module: &[u8]) -> Vec<String> {
        check(module).unwrap().into_iter().flat_map(|c| c.wrong).collect()
    }

    #[test]
    fn a_module_for_the_proxy_passes() {
        let log = ("env", "proxy_log", EntityType::Function(0));
        assert_eq!(wrong(&module(&[log], EXPORTS, 0)), [""; 0]);
    }

    #[test]
    fn foreign_imports_are_named() {
        let global = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
        for (from, name, ty) in [
            ("wasi_snapshot_preview1", "fd_write", EntityType::Function(0)),
            ("env", "puts", EntityType::Function(0)),
            ("__wbindgen_placeholder__", "proxy_x", EntityType::Function(0)),
            ("env", "proxy_global", EntityType::Global(global)),
        ] {
            let found = wrong(&module(&[(from, name, ty)], EXPORTS, 0));
            assert_eq!(
                found,
                [format!("imports {from}.{name}: a proxy offers only functions env.proxy_*")]
            );
        }
    }

    #[test]
    fn missing_exports_are_named() {
        let some: Vec<&str> = EXPORTS.iter().copied().filter(|e| *e != "memory").collect();
        let found = wrong(&module(&[], &some, 0));
        assert_eq!(found, ["does not export memory"]);
        let found = wrong(&module(&[], &[], 0)).concat();
        for name in EXPORTS {
            assert!(found.contains(name), "{name} in {found}");
        }
    }

    #[test]
    fn size_is_limited() {
        assert_eq!(wrong(&module(&[], EXPORTS, MAX_BYTES / 2)), [""; 0]);
        assert!(wrong(&module(&[], EXPORTS, MAX_BYTES))[0].starts_with("weighs"));
    }

    #[test]
    fn callbacks_that_do_nothing_are_named() {
        let more: Vec<&str> = EXPORTS.iter().copied().chain(["proxy_on_done", "x"]).collect();
        assert_eq!(wrong(&module(&[], &more, 0)), ["exports for nobody proxy_on_done, x"]);
    }

    #[test]
    fn what_nobody_needs_is_cut_off() {
        let linked: Vec<&str> =
            EXPORTS.iter().copied().chain(["proxy_on_done", REPLACED[0].0]).collect();
        let whole = module(&[], &linked, 300);
        let trimmed = trim(&whole).unwrap();
        assert_eq!(wrong(&trimmed), [""; 0]);
        assert_eq!(
            trim(&module(&[], EXPORTS, 0)).unwrap_err().to_string(),
            "it does not export modelgate_on_http_call_response"
        );
        // Names are gone, and an own section as well.
        assert!(trimmed.len() + 40 < whole.len(), "{} of {}", trimmed.len(), whole.len());
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"MZ", b"\0asm\x02\0\0\0", b"\0asm\x01\0\0\0\x01\xff"] {
            assert!(trim(bytes).is_err(), "{bytes:?}");
        }
    }
}
