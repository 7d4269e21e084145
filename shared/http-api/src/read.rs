//! Reading requests: axum's extractors, with problem details when they refuse.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::{Problem, ProblemType};

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
