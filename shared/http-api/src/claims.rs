//! Who calls: the claims of the JWT that API Gateway has verified.

use std::{collections::HashMap, marker::PhantomData};

use axum::{extract::FromRequestParts, http::request::Parts};
use lambda_http::request::RequestContext;
use network::EmailAddress;
use quantities::DriverId;

use crate::{Permission, Problem, ProblemType, Role};

/// One of the operator's staff who has the permission `P`.
#[derive(Debug, Clone)]
pub struct Operator<P> {
    /// Subject (`sub`) of their JWT: whoever changed something is known by it.
    pub subject: String,
    roles: Vec<Role>,
    permission: PhantomData<P>,
}

impl<P> Operator<P> {
    /// Whether they have `role`: for what one role may do without the limits of another.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// A driver.
#[derive(Debug, Clone)]
pub struct Driver {
    /// Subject (`sub`) of their JWT.
    pub id: DriverId,
    /// Their e-mail address (`email`), if the issuer has made sure that it is theirs
    /// (`email_verified`).
    pub email: Option<EmailAddress>,
}

impl<S: Send + Sync, P: Permission> FromRequestParts<S> for Operator<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let claims = claims(parts)?;
        let subject = subject(claims)?.to_owned();
        let roles = roles(claims.get("roles").map_or("", String::as_str));
        if P::ROLES.iter().any(|role| roles.contains(role)) {
            return Ok(Self { subject, roles, permission: PhantomData });
        }
        let needed: Vec<_> = P::ROLES.iter().map(|role| role.name()).collect();
        let needed = needed.join(" or ");
        let detail = format!("To {} takes the role {needed} (claim `roles`).", P::ALLOWS);
        Err(Problem::new(ProblemType::Forbidden, detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Driver {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let claims = claims(parts)?;
        let id = subject(claims)?.parse().map_err(|_| {
            let detail = "The token's subject (`sub`) is not the id of a driver.";
            Problem::new(ProblemType::Forbidden, detail)
        })?;
        let is_verified = claims.get("email_verified").is_some_and(|claim| claim == "true");
        let email = claims.get("email").filter(|_| is_verified);
        Ok(Self { id, email: email.and_then(|email| email.parse().ok()) })
    }
}

fn claims(parts: &Parts) -> Result<&HashMap<String, String>, Problem> {
    let context = parts.extensions.get::<RequestContext>();
    let jwt = context.and_then(RequestContext::authorizer).and_then(|known| known.jwt.as_ref());
    let detail = "Send a valid token: `Authorization: Bearer <JWT>`.";
    jwt.map(|jwt| &jwt.claims).ok_or_else(|| Problem::new(ProblemType::Unauthenticated, detail))
}

fn subject(claims: &HashMap<String, String>) -> Result<&str, Problem> {
    let subject = claims.get("sub").map(String::as_str).filter(|subject| !subject.is_empty());
    let detail = "The token has no subject (`sub`).";
    subject.ok_or_else(|| Problem::new(ProblemType::Unauthenticated, detail))
}

/// API Gateway hands every claim on as text, a list as `[admin support]`. Roles that we do not
/// have give nothing.
fn roles(claim: &str) -> Vec<Role> {
    let names = claim.trim().trim_start_matches('[').trim_end_matches(']');
    let names = names.split(|c: char| c.is_whitespace() || c == ',');
    names.filter_map(|name| name.trim_matches('"').parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::{Value, json};

    use super::*;
    use crate::{ReadNetwork, WriteNetwork};

    fn parts(claims: &Value) -> Parts {
        let context = json!({
            "http": { "method": "GET" },
            "authorizer": { "jwt": { "claims": claims, "scopes": null } },
            "timeEpoch": 0,
        });
        let context: RequestContext = serde_json::from_value(context).unwrap();
        Request::builder().extension(context).body(()).unwrap().into_parts().0
    }

    async fn may<P: Permission>(claims: Value) -> Result<String, u16> {
        let operator = Operator::<P>::from_request_parts(&mut parts(&claims), &()).await;
        operator.map(|operator| operator.subject).map_err(|problem| problem.status().as_u16())
    }

    #[tokio::test]
    async fn a_list_of_roles_is_read_as_api_gateway_writes_it() {
        let claims = |roles: &str| json!({ "sub": "op-1", "roles": roles });
        assert_eq!(may::<WriteNetwork>(claims("[support admin]")).await, Ok("op-1".to_owned()));
        assert_eq!(may::<WriteNetwork>(claims("admin")).await, Ok("op-1".to_owned()));
        assert_eq!(may::<WriteNetwork>(claims("[support]")).await, Err(403));
        assert_eq!(may::<WriteNetwork>(claims("[administrator]")).await, Err(403));
        assert_eq!(may::<ReadNetwork>(claims("")).await, Err(403));
    }

    #[tokio::test]
    async fn without_a_subject_nobody_is_known() {
        assert_eq!(may::<ReadNetwork>(json!({ "roles": "[admin]" })).await, Err(401));
        let mut bare = Request::new(()).into_parts().0;
        let problem = Driver::from_request_parts(&mut bare, &()).await.unwrap_err();
        assert_eq!(problem.status().as_u16(), 401);
    }

    #[tokio::test]
    async fn a_driver_is_the_subject_of_their_token() {
        let driver = Driver::from_request_parts(&mut parts(&json!({ "sub": "d-1" })), &()).await;
        assert_eq!(driver.unwrap().id.as_str(), "d-1");
        let odd = Driver::from_request_parts(&mut parts(&json!({ "sub": "a/b" })), &()).await;
        assert_eq!(odd.unwrap_err().status().as_u16(), 403);
    }

    #[tokio::test]
    async fn an_address_is_a_drivers_only_when_the_issuer_has_verified_it() {
        let email = async |email: &str, verified: &str| {
            let claims = json!({ "sub": "d-1", "email": email, "email_verified": verified });
            let driver = Driver::from_request_parts(&mut parts(&claims), &()).await.unwrap();
            driver.email.map(|email| email.as_str().to_owned())
        };
        assert_eq!(email("ada@example.com", "true").await.as_deref(), Some("ada@example.com"));
        for verified in ["false", "", "True", "1"] {
            assert_eq!(email("ada@example.com", verified).await, None, "{verified}");
        }
        assert_eq!(email("ada", "true").await, None);
        let without = json!({ "sub": "d-1", "email": "ada@example.com" });
        let driver = Driver::from_request_parts(&mut parts(&without), &()).await.unwrap();
        assert_eq!(driver.email, None);
    }
}
