//! A directory with one file a secret, as Kubernetes, Docker and systemd mount them.

use mlx_core::prelude::*;
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// The longest secret, in bytes: a certificate chain fits, a file named by mistake does not.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// The directory, without symbolic links in its path.
#[derive(Clone, Debug)]
pub(super) struct SecretsDirectory(PathBuf);

impl SecretsDirectory {
    pub(super) async fn open(path: PathBuf) -> Result<Self> {
        blocking(move || {
            let shown = path.display();
            let real = path.canonicalize().with_context(|| {
                format!("opening `secrets_dir` {shown}: make the directory, or leave the setting out")
            })?;
            if real.is_dir() {
                Ok(SecretsDirectory(real))
            } else {
                Err(Error::invalid(format!("`secrets_dir` {shown} is not a directory")))
            }
        })
        .await
    }

    pub(super) async fn health(&self) -> Health {
        let path = self.0.clone();
        match blocking(move || Ok(path.is_dir())).await {
            Ok(true) => Health::healthy(),
            _ => Health::degraded(format!("the secrets directory {} is gone", self.0.display())),
        }
    }

    /// The text of a file, without a line break at its end.
    pub(super) async fn read(&self, key: &str) -> Result<Secret<String>> {
        // One plain name: no separators of any system, no drive, nothing hidden (Kubernetes keeps its own
        // `..data` beside the secrets).
        if key.is_empty() || key.starts_with('.') || key.contains(['/', '\\', ':', '\0']) {
            return Err(Error::invalid(format!(
                "`{}` is not the name of a secret: it must be a plain file name",
                key.escape_debug()
            )));
        }
        let (directory, key) = (self.0.clone(), key.to_owned());
        blocking(move || read(&directory, &key)).await
    }
}

fn read(directory: &Path, key: &str) -> Result<Secret<String>> {
    let doing = || format!("reading the secret `{key}` in {}", directory.display());
    let path = directory.join(key).canonicalize().with_context(doing)?;
    // Links inside the directory are how Kubernetes exchanges secrets; links out of it are not followed.
    if !path.starts_with(directory) {
        return Err(Error::denied("it is a link out of the directory")).with_context(doing);
    }
    if !path.is_file() {
        return Err(Error::invalid("it is not a file")).with_context(doing);
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).with_context(doing)?;
    file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).with_context(doing)?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(Error::invalid(format!("it is longer than {MAX_SECRET_BYTES} bytes"))).with_context(doing);
    }
    // The conversion's own error holds the bytes, so it is not kept.
    let Ok(mut text) = String::from_utf8(bytes) else {
        return Err(Error::invalid("it is not UTF-8 text")).with_context(doing);
    };
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("reading files")?
}
