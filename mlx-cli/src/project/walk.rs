//! The files of a project.

use super::{LOCK_FILE, Project, ProjectPath};
use cap_std::fs::Dir;
use mlx_core::{Context, Result};
use std::collections::VecDeque;

/// The most files that are listed.
const MOST: usize = 100_000;

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: ProjectPath,
    /// Its length in bytes.
    pub size: u64,
}

impl Project {
    /// The files in the project's folder, by path. Left out are `.git` and `.mlx`, folders that can be made anew (those with a
    /// `CACHEDIR.TAG`, such as cargo's `target`, and `node_modules`), projects within the project, symbolic links, and files whose
    /// names no [`ProjectPath`] can have. Of very many, the 100,000 nearest to the project's own folder are listed.
    ///
    /// # Errors
    /// A failure of the file system.
    pub fn files(&self) -> Result<Vec<Found>> {
        let mut files = Vec::new();
        let mut folders: VecDeque<(String, Dir)> = VecDeque::new();
        if let Some(dir) = self.dir() {
            folders.push_back((String::new(), dir.try_clone().context("listing the project")?));
        }
        while let Some((prefix, dir)) = folders.pop_front() {
            if files.len() >= MOST {
                break;
            }
            let listing = || format!("listing {}", if prefix.is_empty() { "the project" } else { &prefix });
            for entry in dir.entries().with_context(listing)? {
                let entry = entry.with_context(listing)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{prefix}{name}");
                let kind = entry.file_type().with_context(listing)?;
                if kind.is_dir() {
                    if matches!(name.as_str(), ".git" | ".mlx" | "node_modules") {
                        continue;
                    }
                    let Ok(inner) = dir.open_dir(&name) else { continue };
                    if inner.symlink_metadata("CACHEDIR.TAG").is_err() && inner.symlink_metadata(LOCK_FILE).is_err() {
                        folders.push_back((format!("{path}/"), inner));
                    }
                } else if kind.is_file()
                    && let (Ok(path), Ok(metadata)) = (ProjectPath::new(&path), entry.metadata())
                {
                    files.push(Found { path, size: metadata.len() });
                }
            }
        }
        files.truncate(MOST);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::{Lock, MlxSource};
    use std::fs;

    #[test]
    fn what_is_the_users_is_listed() {
        let temp = tempfile::tempdir().unwrap();
        let lock = Lock::new("shop", MlxSource::Path).to_text().unwrap();
        for path in [
            "mlx.lock",
            "src/main.rs",
            "src/a/b.rs",
            ".github/ci.yml",
            "target/CACHEDIR.TAG",
            "target/debug/x",
            ".git/HEAD",
            ".mlx/base/x",
            "inner/mlx.lock",
            "inner/src/lib.rs",
            "node_modules/x/y.js",
        ] {
            let path = temp.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &lock).unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("/etc", temp.path().join("src/etc")).unwrap();
        let files = Project::open(temp.path()).unwrap().files().unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, [".github/ci.yml", "mlx.lock", "src/a/b.rs", "src/main.rs"]);
        assert_eq!(files[0].size, lock.len() as u64);
    }
}
