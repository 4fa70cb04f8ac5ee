//! The module: built for release, stripped of what no proxy reads, and checked.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use wasmparser::{Parser, Payload, TypeRef};

use crate::project::{self, Project, WASM};
use crate::sh::{self, Log};

/// What the module may weigh: it is pulled by every gateway at its start.
pub const MAX_BYTES: usize = 1 << 20;

/// What Envoy looks for, or calls, in a module of this ABI; one of two names where either will do.
const EXPORTS: &[&str] = &[
    "memory",
    "proxy_abi_version_0_2_1",
    "malloc or proxy_on_memory_allocate",
    "_initialize or _start",
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_delete",
];

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

/// Builds and strips the module, and returns what the checks found.
pub fn build_and_check(project: &Project) -> Result<(PathBuf, Vec<Check>)> {
    project::wasm_target()?;
    println!("building the module (release; the first time takes a minute or two)");
    let start = Instant::now();
    // An rlib beside the cdylib would rule out link-time optimisation of the whole.
    let mut cargo = project.cargo(["rustc", "--package=modelgate", "--lib", "--profile=module"]);
    cargo.args(["--target", WASM, "--crate-type=cdylib"]);
    let mut log = Log::create(project.target.join("test-logs/build.log"))?;
    sh::quietly(&mut cargo, &mut log)?;
    let built = project.target.join(WASM).join("module/modelgate.wasm");
    let bytes = std::fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let module = strip(&bytes).with_context(|| format!("in {}", built.display()))?;
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

/// The module without custom sections: names, producers and debug information serve no proxy.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    let mut stripped = Vec::with_capacity(module.len());
    stripped.extend_from_slice(module.get(..8).context("it is no WebAssembly module")?);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.context("it is no WebAssembly module")?;
        if matches!(payload, Payload::CustomSection(_)) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
            let body = module.get(range).context("a section reaches beyond the end")?;
            stripped.push(id);
            leb128(body.len(), &mut stripped);
            stripped.extend_from_slice(body);
        }
    }
    Ok(stripped)
}

/// Looks for everything that would keep the module from running in a proxy.
pub fn check(module: &[u8]) -> Result<Vec<Check>> {
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("it is no WebAssembly module")? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let function = matches!(import.ty, TypeRef::Func(_));
                    if !(function && import.module == "env" && import.name.starts_with("proxy_")) {
                        imports.push(format!(
                            "imports {}.{}: a proxy offers only functions env.proxy_*",
                            import.module, import.name
                        ));
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    let exported = |name: &str| exports.iter().any(|e| e == name);
    let missing: Vec<&str> =
        EXPORTS.iter().copied().filter(|names| !names.split(" or ").any(exported)).collect();
    let missing = if missing.is_empty() {
        Vec::new()
    } else {
        let names = missing.join(", ");
        vec![format!("does not export {names}")]
    };
    let size = if module.len() > MAX_BYTES {
        vec![format!("weighs {} bytes: at most {MAX_BYTES} are allowed", module.len())]
    } else {
        Vec::new()
    };
    let found = [imports, missing, size];
    Ok(CHECKS.into_iter().zip(found).map(|(name, wrong)| Check { name, wrong }).collect())
}

fn leb128(mut n: usize, out: &mut Vec<u8>) {
    loop {
        let low = n.to_le_bytes().first().map_or(0, |byte| byte & 0x7f);
        n >>= 7;
        if n == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
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

    fn all_exports() -> Vec<&'static str> {
        EXPORTS.iter().filter_map(|names| names.split(" or ").next()).collect()
    }

    fn wrong(module: &[u8]) -> Vec<String> {
        check(module).unwrap().into_iter().flat_map(|c| c.wrong).collect()
    }

    #[test]
    fn a_module_for_the_proxy_passes() {
        let log = ("env", "proxy_log", EntityType::Function(0));
        assert_eq!(wrong(&module(&[log], &all_exports(), 0)), [""; 0]);
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
            let found = wrong(&module(&[(from, name, ty)], &all_exports(), 0));
            assert_eq!(
                found,
                [format!("imports {from}.{name}: a proxy offers only functions env.proxy_*")]
            );
        }
    }

    #[test]
    fn missing_exports_are_named() {
        let some: Vec<&str> = all_exports().into_iter().filter(|e| *e != "memory").collect();
        let found = wrong(&module(&[], &some, 0));
        assert_eq!(found, ["does not export memory"]);
        let found = wrong(&module(&[], &[], 0)).concat();
        for name in all_exports() {
            assert!(found.contains(name), "{name} in {found}");
        }
    }

    #[test]
    fn size_is_limited() {
        assert_eq!(wrong(&module(&[], &all_exports(), MAX_BYTES / 2)), [""; 0]);
        assert!(wrong(&module(&[], &all_exports(), MAX_BYTES))[0].starts_with("weighs"));
    }

    #[test]
    fn custom_sections_go_and_everything_else_stays() {
        let log = ("env", "proxy_log", EntityType::Function(0));
        let whole = module(&[log], &all_exports(), 300);
        let stripped = strip(&whole).unwrap();
        // A custom section: its id, its length, the length of its name, "name", 40 bytes.
        assert_eq!(stripped, whole[..whole.len() - 47]);
        assert_eq!(strip(&stripped).unwrap(), stripped);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        for bytes in [&b""[..], b"MZ", b"\0asm\x02\0\0\0", b"\0asm\x01\0\0\0\x01\xff"] {
            assert!(strip(bytes).is_err(), "{bytes:?}");
        }
    }
}
