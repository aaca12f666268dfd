//! Names that nobody can guess and nobody else has.

use mlx_core::prelude::*;

/// 128 random bits of the operating system in 32 hexadecimal digits.
///
/// # Errors
/// The operating system has no randomness to give.
pub(crate) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::failed(format!("the operating system gives no random numbers: {error}")))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_digits_and_differ() {
        let (a, b) = (random_id().unwrap(), random_id().unwrap());
        assert!(a.len() == 32 && a.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(a, b);
    }
}
