//! The folder in which tools are installed, each once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::sh::{Log, seconds};

/// The folder of installed tools.
#[derive(Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// In this folder, or where `MODELGATE_TOOLS` says.
    ///
    /// # Errors
    ///
    /// The current folder is needed and gone.
    pub fn new(folder: PathBuf) -> Result<Self> {
        let folder = match std::env::var_os("MODELGATE_TOOLS") {
            Some(folder) => std::path::absolute(folder).context("MODELGATE_TOOLS")?,
            None => folder,
        };
        Ok(Self { folder })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of a tool, after `build` has filled it if it is not there yet.
    ///
    /// `key` says all that the result depends on: another key installs anew. The key is written down
    /// last, so an interrupted installation is begun again and never half used. (Not a folder that is
    /// renamed at the end: a Python environment cannot be moved.)
    ///
    /// # Errors
    ///
    /// It cannot be built, or the folder not be written.
    pub fn install(
        &self,
        name: &str,
        about: &str,
        key: &str,
        build: impl FnOnce(&Path, &mut Log) -> Result<()>,
    ) -> Result<PathBuf> {
        if let Some(folder) = self.installed(name, key) {
            return Ok(folder);
        }
        let _lock = self.lock()?;
        if let Some(folder) = self.installed(name, key) {
            return Ok(folder);
        }
        let start = Instant::now();
        let folder = self.folder.join(name);
        eprintln!("installing {about} into {}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("removing {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut log = Log::create(self.folder.join(format!("{name}.log")))?;
        build(&folder, &mut log).with_context(|| format!("installing {about}"))?;
        let stamp = folder.join(STAMP);
        let new = stamp.with_extension("new");
        fs::write(&new, stamped(key, &folder))
            .and_then(|()| fs::rename(&new, &stamp))
            .context("writing the stamp")?;
        eprintln!("installed in {}", seconds(start.elapsed()));
        Ok(folder)
    }

    /// The folder of a tool that was installed with this key.
    pub fn installed(&self, name: &str, key: &str) -> Option<PathBuf> {
        let folder = self.folder.join(name);
        let found = fs::read_to_string(folder.join(STAMP)).ok()?;
        (found == stamped(key, &folder)).then_some(folder)
    }

    /// Held while something is installed; the system lets go of it whatever happens to this process.
    fn lock(&self) -> Result<File> {
        let path = self.folder.join(".lock");
        let lock = fs::create_dir_all(&self.folder)
            .and_then(|()| File::create(&path))
            .with_context(|| format!("making {}", path.display()))?;
        if lock.try_lock().is_err() {
            eprintln!("waiting: another run is installing into {}", self.folder.display());
            lock.lock().with_context(|| format!("locking {}", path.display()))?;
        }
        Ok(lock)
    }
}

/// The file that says with which key a folder was filled.
const STAMP: &str = ".installed";

/// With the folder: a Python environment is of use nowhere else.
fn stamped(key: &str, folder: &Path) -> String {
    format!("{key}\n{}\n", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn an_installation_is_used_again_only_if_it_was_finished() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools { folder: folder.path().join("tools") };
        let install = |key: &str, succeed: bool| {
            let mut built = false;
            let result = tools.install("x", "X", key, |folder, _| {
                built = true;
                assert!(fs::read_dir(folder).unwrap().next().is_none(), "begins empty");
                fs::write(folder.join("part"), "").unwrap();
                if succeed { Ok(()) } else { bail!("interrupted") }
            });
            (built, result.is_ok())
        };
        assert_eq!(install("1", false), (true, false));
        assert_eq!(install("1", true), (true, true));
        assert_eq!(install("1", true), (false, true));
        assert_eq!(install("2", false), (true, false));
        assert_eq!(install("1", true), (true, true), "what 2 began has replaced 1");
    }

    #[test]
    fn only_one_installs_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools { folder: folder.path().to_path_buf() };
        let built = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    tools.install("x", "X", "1", |_, _| {
                        built.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(50));
                        Ok(())
                    })
                });
            }
        });
        assert_eq!(built.into_inner(), 1);
    }
}
