//! Dead letters: what the queues gave up on, and sending it round again.

use axum::{Json, extract::State};
use http_api::{Body, Check, Log, Operator, Param, Problem, ReadQueues, RedriveQueues};
use messages::Queue;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::api::Api;

/// As many as can be moved before the request times out.
const LIMIT_MAX: u32 = 500;

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(redrive))
}

/// What waits in a dead-letter queue.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct DeadLetters {
    /// The queue it failed in.
    #[schema(example = "capture")]
    queue: &'static str,
    /// About how many there are.
    count: u64,
}

/// How much to re-drive.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedriveBody {
    /// How many dead letters at most, 1 to 500.
    #[serde(default = "hundred")]
    #[schema(default = 100)]
    limit: u32,
}

/// What was re-driven.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Redriven {
    /// How many; fewer than asked for when there were no more.
    moved: u32,
}

fn hundred() -> u32 {
    100
}

/// Counts the dead letters of every queue.
#[utoipa::path(get, path = "/operator/dead-letters",
    tag = "queues", operation_id = "list_dead_letters",
    security(("jwt" = ["admin", "support", "finance"])),
    responses((status = 200, body = Vec<DeadLetters>)))]
async fn list(
    _: Operator<ReadQueues>,
    State(api): State<Api>,
) -> Result<Json<Vec<DeadLetters>>, Problem> {
    let letters = api.queues.dead_letters().await.map_err(Problem::unavailable)?;
    let view = |letters: queues::DeadLetters| DeadLetters {
        queue: letters.queue.name(),
        count: letters.count,
    };
    Ok(Json(letters.into_iter().map(view).collect()))
}

/// Puts dead letters back into their queue. One that is moved twice is handled once.
#[utoipa::path(post, path = "/operator/dead-letters/{queue}/redrive",
    tag = "queues", operation_id = "redrive_dead_letters",
    params(("queue" = String, Path)),
    request_body = RedriveBody,
    security(("jwt" = ["finance"])),
    responses((status = 200, body = Redriven)))]
async fn redrive(
    _: Operator<RedriveQueues>,
    State(api): State<Api>,
    log: Log,
    Param(name): Param<String>,
    Body(body): Body<RedriveBody>,
) -> Result<Json<Redriven>, Problem> {
    let queue = Queue::ALL.into_iter().find(|queue| queue.name() == name);
    let queue = queue.ok_or_else(|| Problem::not_found("queue"))?;
    let mut check = Check::default();
    let fits = (1..=LIMIT_MAX).contains(&body.limit);
    check.that("/limit", fits, &format!("must be from 1 to {LIMIT_MAX}"));
    check.finish(|| Some(()))?;
    let moved = api.queues.redrive(queue, body.limit).await.map_err(Problem::unavailable)?;
    log.field("queue", queue.name());
    log.field("moved", moved);
    Ok(Json(Redriven { moved }))
}
