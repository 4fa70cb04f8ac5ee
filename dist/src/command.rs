//! An archive of the command: the program, its licence and pages, completions and manual pages.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::{Compression, GzBuilder};

use crate::read;

/// What of the checkout goes along.
const PAGES: [&str; 3] = ["LICENSE", "README.md", "CHANGELOG.md"];

/// A gzipped tar with one folder of this name, without times and owners.
pub fn archive(name: &str, command: &[u8], root: &Path, help_pages: &Path) -> Result<Vec<u8>> {
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    let mut append = |path: &str, bytes: &[u8], mode: u32| -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(bytes.len())?);
        header.set_mode(mode);
        tar.append_data(&mut header, format!("{name}/{path}"), bytes).context(path.to_owned())
    };
    append("modelgate", command, 0o755)?;
    for page in PAGES {
        append(page, &read(&root.join(page))?, 0o644)?;
    }
    for folder in ["completions", "man"] {
        let mut pages = std::fs::read_dir(help_pages.join(folder))
            .with_context(|| format!("{}/{folder}", help_pages.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        pages.sort();
        ensure!(!pages.is_empty(), "{}/{folder} is empty", help_pages.display());
        for page in pages {
            let file = page.file_name().and_then(|file| file.to_str()).context("a file's name")?;
            append(&format!("{folder}/{file}"), &read(&page)?, 0o644)?;
        }
    }
    Ok(tar.into_inner()?.finish()?)
}

/// `e_machine` of the ELF header, by the triple's first word.
const MACHINES: [(&str, u16); 2] = [("x86_64", 0x3e), ("aarch64", 0xb7)];
/// A program header that names a dynamic linker.
const INTERPRETER: u32 = 3;

/// That it is a program of this platform, and needs no library.
///
/// Read by the offsets of the 64-bit ELF header, of which both platforms are the little-endian form.
pub fn check(command: &[u8], triple: &str) -> Result<()> {
    let number = |at: usize, bytes: usize| -> Result<usize> {
        let field = at.checked_add(bytes).and_then(|end| command.get(at..end));
        let field = field.context("the file is cut off")?;
        Ok(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    ensure!(command.starts_with(b"\x7fELF\x02\x01"), "it is no 64-bit ELF program");
    let known = MACHINES.iter().find(|(name, _)| triple.starts_with(&format!("{name}-")));
    let Some((_, machine)) = known else { bail!("{triple} is not a platform of a release") };
    ensure!(number(18, 2)? == usize::from(*machine), "it is of another platform than {triple}");
    let (table, entry, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for n in 0..count {
        let kind = number(table + n * entry, 4)?;
        ensure!(u32::try_from(kind)? != INTERPRETER, "it needs a dynamic linker");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn an_archive_has_the_program_and_its_pages() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "text").unwrap();
        };
        for path in ["LICENSE", "README.md", "CHANGELOG.md", "completions/_b", "man/b.1", "man/a.1"]
        {
            file(path);
        }
        let make = || archive("modelgate-1", b"program", folder.path(), folder.path());
        let bytes = make().unwrap();
        assert_eq!(bytes, make().unwrap());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&*bytes));
        let files: Vec<_> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let path = entry.path().unwrap().display().to_string();
                (path, entry.header().mode().unwrap(), text.len())
            })
            .collect();
        let names: Vec<_> = files.iter().map(|(path, _, _)| &**path).collect();
        let expected = [
            "modelgate",
            "LICENSE",
            "README.md",
            "CHANGELOG.md",
            "completions/_b",
            "man/a.1",
            "man/b.1",
        ];
        assert_eq!(names, expected.map(|path| format!("modelgate-1/{path}")));
        assert_eq!(files[0], ("modelgate-1/modelgate".to_owned(), 0o755, 7));
        assert_eq!(files[1], ("modelgate-1/LICENSE".to_owned(), 0o644, 4));
        std::fs::remove_file(folder.path().join("LICENSE")).unwrap();
        assert!(make().is_err());
    }

    fn elf(machine: u16, headers: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = u8::try_from(headers.len()).unwrap();
        for kind in headers {
            file.extend(kind.to_le_bytes());
            file.extend([0; 52]);
        }
        file
    }

    #[test]
    fn a_program_of_another_platform_is_refused() {
        let arm = "aarch64-unknown-linux-musl";
        check(&elf(0xb7, &[1, 2]), arm).unwrap();
        check(&elf(0x3e, &[1]), "x86_64-unknown-linux-musl").unwrap();
        let refused = |file: &[u8], triple: &str| check(file, triple).unwrap_err().to_string();
        assert!(refused(&elf(0x3e, &[1]), arm).contains("another platform"));
        assert!(refused(&elf(0xb7, &[1, 3]), arm).contains("dynamic linker"));
        assert!(refused(&elf(0xb7, &[1])[..66], arm).contains("cut off"));
        assert!(refused(b"#!/bin/sh\n", arm).contains("no 64-bit ELF"));
        assert!(refused(&elf(0xb7, &[1]), "wasm32-unknown-unknown").contains("not a platform"));
    }

    #[test]
    fn this_test_needs_a_dynamic_linker() {
        if cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
            let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
            let refused = check(&own, "x86_64-unknown-linux-musl").unwrap_err();
            assert!(refused.to_string().contains("dynamic linker"), "{refused}");
        }
    }
}
