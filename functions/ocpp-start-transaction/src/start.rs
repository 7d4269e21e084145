//! Load, decide, store, reply.

use anyhow::{Context as _, bail};
use messages::{Envelope, Event};
use ocpp::{AuthorizationStatus, IdTagInfo, StartTransactionRequest, StartTransactionResponse};
use runtime::{Invocation, Metric, OcppCall};
use session::{Session, Start};
use store::{Started, Store};

/// How many numbers are tried before the charger is asked to come back: two starts of one charger
/// share a number once in two thousand million.
const ATTEMPTS_MAX: u32 = 4;

pub(crate) async fn start(
    store: &Store,
    call: OcppCall<StartTransactionRequest>,
    invocation: &Invocation,
) -> anyhow::Result<StartTransactionResponse> {
    let OcppCall { caller, request, frame, .. } = call;
    let known = store.start_context(&caller.site_id, &request.id_tag).await?;
    let site = known.site.context("the charger's site is not configured")?;
    let start = Start {
        charge_point_id: &caller.charge_point_id,
        time_zone: caller.time_zone,
        request: &request,
        frame: &frame,
        connected_at: caller.connected_at,
        received_at: invocation.now(),
        site: &site,
        offers: &known.offers,
        entitlement: known.entitlement.as_ref(),
    };
    let (session, id_tag_info) = open(store, &start, invocation).await?;
    invocation.session(session.id);
    Ok(StartTransactionResponse { id_tag_info, transaction_id: session.transaction_id })
}

/// Stores the session under the first number that is free, or finds it stored already.
async fn open(
    store: &Store,
    start: &Start<'_>,
    invocation: &Invocation,
) -> anyhow::Result<(Session, IdTagInfo)> {
    let must_be_free = start.must_be_free();
    for attempt in 0..ATTEMPTS_MAX {
        let (mut session, mut id_tag_info) = start.open(attempt);
        let event = Event::SessionStarted { session_id: session.id };
        let envelope = Envelope::new(event, start.received_at, invocation.trace());
        let mut started = store.start(&session, &must_be_free, &envelope).await?;
        if matches!(started, Started::StartSpent | Started::Capped) {
            let is_capped = started == Started::Capped;
            (session, id_tag_info) = start.open_for_nobody(attempt);
            if is_capped {
                id_tag_info = IdTagInfo::of(AuthorizationStatus::Blocked);
            }
            started = store.start(&session, &must_be_free, &envelope).await?;
        }
        match started {
            Started::New => {
                invocation.count(Metric::SessionsStarted, 1);
                invocation.outcome(id_tag_info.status.as_str());
                return Ok((session, id_tag_info));
            }
            Started::Exists(standing) if start.opened(&standing) => {
                invocation.outcome("repeat");
                let id_tag_info = Start::told_before(&standing, &session, id_tag_info);
                return Ok((*standing, id_tag_info));
            }
            Started::Exists(_) | Started::StartSpent | Started::Capped => {}
        }
    }
    bail!("no free transactionId in {ATTEMPTS_MAX} attempts")
}
