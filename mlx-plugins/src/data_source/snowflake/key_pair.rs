//! Key-pair authentication: a JSON Web Token (RFC 7519) signed with the user's private key.
//! <https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>

use crate::http::{Credentials, hide};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use mlx_core::prelude::*;
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use ring::{
    digest,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// How long a token is good for. Snowflake takes none that is good for longer than an hour.
const LIFETIME: u64 = 59 * 60;

/// A token is made anew when it is good for less than this.
const MARGIN: u64 = 5 * 60;

/// `AlgorithmIdentifier` of an RSA key in DER: the object identifier rsaEncryption, and null.
const RSA_ENCRYPTION: [u8; 15] = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];

/// Who holds the private key of a user.
pub(super) struct KeyPair {
    key: RsaKeyPair,
    issuer: String,
    subject: String,
    token: Mutex<Option<Token>>,
}

#[derive(Clone)]
struct Token {
    text: Secret<String>,
    /// Seconds since 1970.
    expires: u64,
}

impl KeyPair {
    /// Reads a private key in PEM, of PKCS#8 (encrypted or not) or PKCS#1.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) when it is none, is not of RSA, has less than 2,048 bits, or the passphrase is
    /// not its.
    pub(super) fn new(account: &str, user: &str, pem: &str, passphrase: Option<&str>) -> Result<Self> {
        // None of these errors may quote the key.
        let unreadable =
            || Error::invalid("the private key is not in PEM: it begins with `-----BEGIN PRIVATE KEY-----`");
        let (label, document) = SecretDocument::from_pem(pem.trim()).map_err(|_| unreadable())?;
        let document = match (label, passphrase) {
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
                let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .map_err(|_| Error::invalid("the private key is damaged, or encrypted in an unknown way"))?;
                encrypted.decrypt(passphrase).map_err(|_| {
                    Error::invalid(
                        "the private key cannot be decrypted: `private_key_passphrase` is not its passphrase",
                    )
                })?
            }
            ("ENCRYPTED PRIVATE KEY", None) => {
                return Err(Error::invalid("the private key is encrypted: set `private_key_passphrase`"));
            }
            ("PRIVATE KEY" | "RSA PRIVATE KEY", _) => document,
            _ => return Err(unreadable()),
        };
        let key = match label {
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(document.as_bytes()),
            _ => RsaKeyPair::from_pkcs8(document.as_bytes()),
        };
        let key = key.map_err(|error| {
            Error::invalid(format!("the private key is not one of RSA with 2048 to 4096 bits: {error}"))
        })?;
        let subject = format!("{}.{}", account_name(account), user.to_uppercase());
        let issuer = format!("{subject}.{}", fingerprint(key.public().as_ref()));
        Ok(KeyPair { key, issuer, subject, token: Mutex::new(None) })
    }

    /// A token that is good for some minutes from now.
    ///
    /// # Errors
    /// The operating system has no randomness to give, or its clock is before 1970.
    pub(super) fn token(&self, now: SystemTime) -> Result<Secret<String>> {
        let now = now
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Error::failed("the clock of this machine is before 1970"))?
            .as_secs();
        let mut kept = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = &*kept
            && (now + MARGIN..=now + LIFETIME).contains(&token.expires)
        {
            return Ok(token.text.clone());
        }
        let expires = now + LIFETIME;
        let text = self.sign(&json!({"iss": self.issuer, "sub": self.subject, "iat": now, "exp": expires}))?;
        *kept = Some(Token { text: text.clone(), expires });
        Ok(text)
    }

    fn sign(&self, claims: &JsonValue) -> Result<Secret<String>> {
        let part = |value: &JsonValue| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| Error::failed("the private key could not sign"))?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into())
    }
}

#[async_trait]
impl Credentials for KeyPair {
    async fn authorization(&self) -> Result<Secret<String>> {
        Ok(format!("Bearer {}", self.token(SystemTime::now())?.expose()).into())
    }

    fn refused(&self) -> bool {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    fn redact(&self, text: String) -> String {
        match &*self.token.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(token) => hide(text, token.text.expose()),
            None => text,
        }
    }
}

/// The account as a token names it: without the region that an account locator may have behind it.
fn account_name(account: &str) -> String {
    let name = match account.split_once('.') {
        // Behind the hyphen is what makes the address unique.
        Some((name, rest)) if rest.eq_ignore_ascii_case("global") => name.split('-').next().unwrap_or(name),
        Some((name, _)) => name,
        None => account,
    };
    name.to_uppercase()
}

/// The public key as `DESC USER` shows it: the SHA-256 of its `SubjectPublicKeyInfo` (RFC 5280, section 4.1).
fn fingerprint(public_key: &[u8]) -> String {
    let bits = [&[0], public_key].concat();
    let info = der(0x30, &[&RSA_ENCRYPTION[..], &der(3, &bits)].concat());
    format!("SHA256:{}", BASE64_STANDARD.encode(digest::digest(&digest::SHA256, &info)))
}

/// Tag, length and contents (X.690, section 8.1).
fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut encoded = vec![tag];
    if contents.len() >= 128 {
        encoded.push(0x80 | length.len() as u8);
    }
    encoded.extend_from_slice(length);
    encoded.extend_from_slice(contents);
    encoded
}
