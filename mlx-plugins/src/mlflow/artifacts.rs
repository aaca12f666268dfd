//! Files that the server keeps.

use super::Server;
use crate::http::Request;
use mlx_core::prelude::*;
use reqwest::Method;

/// A folder of files on the server.
pub(crate) struct Folder {
    /// Below the address of the server, without a `/` at its end.
    address: String,
}

impl Folder {
    /// The folder with this address in MLflow's words; `whose` is how errors name it.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) when it is not on the server.
    pub(crate) fn at(uri: &str, whose: &str) -> Result<Folder> {
        let Some(root) = uri.strip_prefix("mlflow-artifacts:/") else {
            let scheme = uri.split(':').next().unwrap_or_default();
            return Err(Error::unsupported(format!(
                "the artifacts of {whose} are not on the MLflow server but at `{scheme}:…`; \
                 start it with `--artifacts-destination` to have them go through it"
            )));
        };
        // `mlflow-artifacts://host/…` names the server that is asked anyway.
        let root = match root.strip_prefix('/') {
            Some(authority) => authority.split_once('/').map_or("", |(_, path)| path),
            None => root,
        };
        Ok(Folder { address: format!("api/2.0/mlflow-artifacts/artifacts/{}", root.trim_end_matches('/')) })
    }

    fn file(&self, path: &str) -> String {
        let mut address = self.address.clone();
        for part in path.split('/') {
            address.push('/');
            address.push_str(&percent(part));
        }
        address
    }
}

impl Server {
    /// Stores a file.
    pub(crate) async fn upload(&self, folder: &Folder, path: &str, contents: Vec<u8>) -> Result<()> {
        let request = Request::new("artifacts/upload", Method::PUT, folder.file(path));
        self.send(request.body("application/octet-stream", contents)).await.map(drop)
    }

    /// The contents of a file.
    pub(crate) async fn download(&self, folder: &Folder, path: &str) -> Result<Vec<u8>> {
        let request = Request::get("artifacts/download", folder.file(path)).limit(usize::MAX);
        Ok(self.send(request).await?.body)
    }
}

/// Percent-encoding of a part of a path (RFC 3986, section 3.3).
fn percent(part: &str) -> String {
    part.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}
