//! Reading requests: axum's extractors, with problem details when they refuse.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{Problem, ProblemType};

/// The header that makes a request the same one when it is sent again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The JSON body.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

/// The parameters in the path.
#[derive(Debug, Clone)]
pub struct Param<T>(pub T);

/// The parameters in the query string.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = Json::<T>::from_request(request, state).await;
        let refused = |rejection: JsonRejection| {
            Problem::new(ProblemType::MalformedRequest, rejection.body_text())
        };
        read.map(|Json(body)| Self(body)).map_err(refused)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Param<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        let refused = |rejection: PathRejection| {
            Problem::new(ProblemType::MalformedRequest, rejection.body_text())
        };
        read.map(|Path(params)| Self(params)).map_err(refused)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        let refused = |rejection: QueryRejection| {
            Problem::new(ProblemType::MalformedRequest, rejection.body_text())
        };
        read.map(|Query(params)| Self(params)).map_err(refused)
    }
}

/// The key that makes a request the same one when it is sent again.
///
/// # Errors
///
/// [`ProblemType::MalformedRequest`] without one that can be kept.
pub fn idempotency_key(headers: &HeaderMap) -> Result<&str, Problem> {
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    key.filter(|key| (1..=255).contains(&key.len())).ok_or_else(|| {
        let detail = "Send the header Idempotency-Key: 1 to 255 visible ASCII characters, new for \
                      every request, the same when one is sent again.";
        Problem::new(ProblemType::MalformedRequest, detail)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_is_one_to_255_visible_characters() {
        let read = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            idempotency_key(&HeaderMap::from_iter([("Idempotency-Key".parse().unwrap(), value)]))
                .map(str::to_owned)
                .map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(read(b"start 1"), Ok("start 1".to_owned()));
        assert_eq!(read(&[b'k'; 255]), Ok("k".repeat(255)));
        for refused in [&b""[..], &[b'k'; 256], "\u{fc}".as_bytes()] {
            assert_eq!(read(refused), Err(400), "{refused:?}");
        }
        assert!(idempotency_key(&HeaderMap::new()).is_err());
    }
}
