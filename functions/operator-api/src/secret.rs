//! Secrets we make: chargers' passwords and webhook signing secrets.

use anyhow::Context as _;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::Rng as _;

/// Letters and digits that a person can tell apart on a label.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The longest AuthorizationKey that every OCPP 1.6 charger takes (security whitepaper, 2.4).
const PASSWORD_CHARS: usize = 20;

/// Memory of one hash in KiB, and passes over it: of the settings that OWASP gives as equally
/// strong the one with the least memory. A hash is checked only when a charger connects, once in
/// two hours at most, but then in the smallest of functions, and after an outage for every charger
/// at once; our own passwords have 100 random bits, so the hash is not what protects them.
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>
const MEMORY_KIB: u32 = 7 * 1024;
const PASSES: u32 = 5;

/// A new password for a charger: 20 characters, 100 random bits.
pub(crate) fn charger_password() -> String {
    let mut random = rand::rng();
    let letter = |_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
    (0..PASSWORD_CHARS).map(letter).collect()
}

/// What is stored of a password: its Argon2id hash as a PHC string.
pub(crate) fn hash(password: &str) -> anyhow::Result<String> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).context("the parameters of Argon2")?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password(password.as_bytes()).context("hashing a password")?;
    Ok(hash.to_string())
}

/// A new signing secret (Standard Webhooks): `whsec_` and 32 random bytes in base64.
pub(crate) fn signing_secret() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    format!("whsec_{}", STANDARD.encode(bytes))
}

/// For `skip_serializing_if`: a secret that came in never goes out again.
pub(crate) const fn is_told_once<T>(_: &T) -> bool {
    true
}

/// Whether `secret` is a signing secret as Standard Webhooks has them: 24 to 64 bytes.
pub(crate) fn is_signing_secret(secret: &str) -> bool {
    let encoded = secret.strip_prefix("whsec_");
    let bytes = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len()))
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHash, PasswordVerifier as _};

    use super::*;

    #[test]
    fn a_charger_gets_in_with_the_password_behind_its_hash_and_no_other() {
        let password = charger_password();
        assert_eq!(password.len(), 20);
        assert_ne!(password, charger_password());
        let hash = hash(&password).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{hash}");
        let parsed = PasswordHash::new(&hash).unwrap();
        let verify =
            |password: &str| Argon2::default().verify_password(password.as_bytes(), &parsed);
        assert!(verify(&password).is_ok());
        assert!(verify("something else").is_err());
    }

    #[test]
    fn a_signing_secret_is_one_of_standard_webhooks() {
        assert!(is_signing_secret(&signing_secret()));
        assert!(!is_signing_secret("whsec_c2hvcnQ="));
        assert!(!is_signing_secret("secret"));
    }
}
