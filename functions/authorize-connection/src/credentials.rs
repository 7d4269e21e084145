//! The charger's credentials in the handshake.

use argon2::{Argon2, PasswordHash, PasswordVerifier};
use aws_lambda_events::apigw::ApiGatewayCustomAuthorizerRequestTypeRequest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use quantities::ChargePointId;

/// What a charger shows: its identity and its AuthorizationKey.
pub(crate) struct Credentials {
    pub(crate) charge_point_id: ChargePointId,
    password: Vec<u8>,
}

/// Reads the credentials; the reason why not is for the log.
///
/// The identity comes from the URL (the CloudFront Function has made `/ocpp/{chargePointId}` a
/// query parameter), and the user name must be the same (OCPP 1.6 security whitepaper, A00.FR.204).
pub(crate) fn of(
    event: &ApiGatewayCustomAuthorizerRequestTypeRequest,
) -> Result<Credentials, &'static str> {
    let id = event.query_string_parameters.first("chargePointId").ok_or("no charge point id")?;
    let charge_point_id: ChargePointId = id.parse().map_err(|_| "malformed charge point id")?;
    let header = event.headers.get("authorization").and_then(|value| value.to_str().ok());
    let basic = header.and_then(|value| value.split_once(' '));
    let (_, encoded) = basic
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .ok_or("no Basic authentication")?;
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| "malformed Basic authentication")?;
    // Not text: an AuthorizationKey may be any bytes.
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or("no user name")?;
    let (user, password) = decoded.split_at(colon);
    if user != charge_point_id.as_str().as_bytes() {
        return Err("the user name is not the charge point id");
    }
    let password = password.get(1..).unwrap_or_default().to_vec();
    Ok(Credentials { charge_point_id, password })
}

impl Credentials {
    /// Whether the password is the one behind `hash` (a PHC string).
    pub(crate) fn matches(&self, hash: &str) -> bool {
        let parsed = PasswordHash::new(hash);
        parsed.is_ok_and(|hash| Argon2::default().verify_password(&self.password, &hash).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The sample event, as `id` with this header.
    fn handshake(id: &str, authorization: &str) -> ApiGatewayCustomAuthorizerRequestTypeRequest {
        let sample = include_str!("../../../events/lambda/authorize-connection.json");
        let mut event: serde_json::Value = serde_json::from_str(sample).unwrap();
        event["headers"]["Authorization"] = authorization.into();
        event["multiValueHeaders"]["Authorization"] = json!([authorization]);
        event["queryStringParameters"]["chargePointId"] = id.into();
        serde_json::from_value(event).unwrap()
    }

    fn basic(user_and_password: &str) -> String {
        format!("Basic {}", STANDARD.encode(user_and_password))
    }

    #[test]
    fn a_charger_shows_its_id_twice_and_its_password() {
        let credentials = of(&handshake("CP1", &basic("CP1:se:cret"))).ok().unwrap();
        assert_eq!(credentials.charge_point_id.as_str(), "CP1");
        assert_eq!(credentials.password, b"se:cret");
    }

    #[test]
    fn other_handshakes_are_refused_with_a_reason_for_the_log() {
        let refusal = |id, header: &str| of(&handshake(id, header)).err();
        assert_eq!(
            refusal("CP2", &basic("CP1:x")),
            Some("the user name is not the charge point id")
        );
        assert_eq!(refusal("CP1", "Bearer x"), Some("no Basic authentication"));
        assert_eq!(refusal("CP1", "Basic !"), Some("malformed Basic authentication"));
        assert_eq!(refusal("a b", &basic("a b:x")), Some("malformed charge point id"));
    }
}
