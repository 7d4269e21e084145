//! An issuer of tokens, as `OpenID Connect` has it: what API Gateway's JWT authorizer trusts on the
//! local platform.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::{
    encoding::AsDer as _,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use axum::{Json, Router, routing::get};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// How long a token is good for, in seconds.
const LIFETIME_S: u64 = 12 * 3600;
const KEY_ID: &str = "local";

/// Discovery document, key set, and tokens signed with a key that is made at the start.
#[derive(Debug)]
pub(super) struct Issuer {
    url: String,
    audience: String,
    key: RsaKeyPair,
    server: JoinHandle<()>,
}

impl Issuer {
    /// Serves on `listener`; `url` is how API Gateway reaches it.
    pub(super) fn start(
        listener: TcpListener,
        url: String,
        audience: &str,
    ) -> anyhow::Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048);
        let key = key.map_err(|_| anyhow!("cannot make a signing key"))?;
        let keys = json!({ "keys": [public_jwk(&key)?] });
        let discovery = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/jwks.json"),
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        });
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
            .route("/jwks.json", get(async move || Json(keys)));
        let server = tokio::spawn(async move {
            // It ends with the platform; an error of the listener ends it too, and tokens stop
            // being accepted, which every caller sees.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, audience: audience.to_owned(), key, server })
    }

    /// A token for `subject` with these roles and, if one is given, this e-mail address: verified,
    /// or not.
    pub(super) fn token(
        &self,
        subject: &str,
        roles: &[&str],
        email: Option<(&str, bool)>,
    ) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
        // A little earlier: the checker's clock may be behind ours.
        let now_s = now.as_secs() - 5;
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID });
        let mut claims = json!({
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "roles": roles,
            "iat": now_s,
            "exp": now_s + LIFETIME_S,
        });
        if let Some((email, verified)) = email {
            claims["email"] = email.into();
            claims["email_verified"] = verified.into();
        }
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| anyhow!("cannot sign a token"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The public key as RFC 7517 has it.
///
/// A `SubjectPublicKeyInfo` (RFC 5280) of a 2048-bit key ends with the modulus (256 bytes) and the
/// exponent: INTEGER, 3 bytes, 65537.
fn public_jwk(key: &RsaKeyPair) -> anyhow::Result<Value> {
    const EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];
    let der = key.public_key().as_der().map_err(|_| anyhow!("cannot write the public key"))?;
    let modulus = der.as_ref().strip_suffix(&EXPONENT).and_then(<[u8]>::last_chunk::<256>);
    let modulus = modulus.context("the public key is not RSA 2048 with exponent 65537")?;
    Ok(json!({
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": KEY_ID,
        "n": URL_SAFE_NO_PAD.encode(modulus),
        "e": "AQAB",
    }))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    fn decoded(part: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    #[tokio::test]
    async fn a_token_verifies_with_the_published_key_and_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Issuer::start(listener, url.clone(), "tallywatt").unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let discovery = format!("{url}/.well-known/openid-configuration");
        let discovery: Value = client.get(discovery).send().await.unwrap().json().await.unwrap();
        let keys = client.get(discovery["jwks_uri"].as_str().unwrap()).send().await.unwrap();
        let keys: Value = keys.json().await.unwrap();
        let n = decoded(keys["keys"][0]["n"].as_str().unwrap());
        let e = decoded(keys["keys"][0]["e"].as_str().unwrap());
        let key = RsaPublicKeyComponents { n, e };

        let token = issuer.token("driver-1", &["driver"], None).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = decoded(signature);
        let verify = |text: &str| {
            key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok()
        };
        assert!(verify(signed));
        assert!(!verify(&signed.replacen('e', "f", 1)));
        let claims: Value =
            serde_json::from_slice(&decoded(signed.split('.').nth(1).unwrap())).unwrap();
        assert_eq!(claims["iss"], url);
        assert_eq!(claims["roles"], json!(["driver"]));
    }
}
