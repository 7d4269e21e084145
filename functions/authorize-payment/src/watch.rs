//! A look at a running session: load, forecast, store, act.

use chrono::TimeDelta;
use network::HoldRule;
use payments::{Payment, StripeClient, money};
use quantities::{Amount, SessionId};
use rating::{Forecast, Pace, Pricer};
use runtime::Invocation;
use session::SessionState;
use store::{SessionFile, SoFar, Store};

/// Looks at a session: how much of what is held it has used, and whether that will be enough until
/// the next look.
pub(crate) async fn look(
    store: &Store,
    stripe: &StripeClient,
    session_id: SessionId,
    number: u32,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let file = store.session_file(session_id).await?;
    let Some(payment) = &file.payment else {
        invocation.outcome("nobody pays by card");
        return Ok(());
    };
    let look = if payment.looks < number {
        see(store, &file, payment, number, invocation).await?
    } else {
        // A repeat counts no second time; what it left undone is done.
        money::Look { number, expected: None, most: None, next_at: None }
    };
    let looked = |payment| Ok(money::look(payment, look));
    Box::pin(collection::advance(store, stripe, &file.session, invocation, looked)).await?;
    Ok(())
}

/// What there is to see.
async fn see(
    store: &Store,
    file: &SessionFile,
    payment: &Payment,
    number: u32,
    invocation: &Invocation,
) -> anyhow::Result<money::Look> {
    let over = money::Look { number, expected: None, most: None, next_at: None };
    let so_far = store.so_far(file, invocation.now()).await?;
    let Some(with) = &so_far.priced_with else {
        invocation.outcome("watched no more");
        return Ok(over);
    };
    let site = store.site(&file.session.site_id).await?;
    let rule = site.and_then(|site| site.hold_rule);
    let policy = &payment.policy;
    let (lead, at_most) = (policy.watch_at_least_s, policy.watch_at_most_s);
    let (lead, at_most) = (TimeDelta::seconds(lead.into()), TimeDelta::seconds(at_most.into()));
    let (expected, next) = match forecast(file, &so_far, payment, rule.as_ref(), lead, at_most) {
        Ok((expected, next)) => (Some(expected), next),
        Err(error) => {
            // Rating will hold it for a person.
            invocation.field("no_forecast", format!("{error:#}"));
            (None, at_most)
        }
    };
    let most = with.plan.as_ref().map(store::PlanState::left_to_spend).transpose()?.flatten();
    invocation.outcome("looked");
    invocation.field("next_look_s", next.num_seconds());
    Ok(money::Look { number, expected, most, next_at: Some(invocation.now() + next) })
}

/// What the session will have cost when it can be acted upon after the next look, and in how long
/// that is.
fn forecast(
    file: &SessionFile,
    so_far: &SoFar,
    payment: &Payment,
    rule: Option<&HoldRule>,
    lead: TimeDelta,
    at_most: TimeDelta,
) -> anyhow::Result<(Amount, TimeDelta)> {
    let with = so_far.priced_with.as_ref().ok_or_else(|| anyhow::anyhow!("it has no tariff"))?;
    let max_power = so_far.charger.as_ref().and_then(|charger| charger.max_electric_power);
    let pace = Pace::of(&so_far.timeline, max_power, rule);
    let (pricer, rules) = (Pricer::new(&with.tariff)?, with.rules(&file.session));
    let is_active = file.session.state == SessionState::Active;
    let forecast = Forecast::new(&pricer, &rules, &so_far.timeline, pace, is_active)?;
    let held = payment.hold.as_ref().map_or(payment.wanted, |hold| hold.terms.amount);
    let next = forecast.look_in(held, lead, at_most)?;
    Ok((forecast.cost_in(next + lead)?, next))
}
