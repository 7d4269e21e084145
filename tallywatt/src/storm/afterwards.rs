//! What people do when a visit is over: an operator gives money back, a driver pays what they owe.

use std::{cell::Cell, convert::Infallible};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use payments::{Payment, money::RefundState};
use quantities::{Amount, SessionId};
use serde_json::{Value, json};
use tokio::{sync::mpsc::UnboundedReceiver, time::sleep};

use super::{
    kind::Kind,
    scene::{LOOK_EVERY, Scene},
    verdict,
    visit::Visited,
};

/// Sees to every visit that comes, all at once, and counts down `open` with each that is done. It
/// ends only with an error.
pub(super) async fn attend(
    scene: &Scene<'_>,
    mut over: UnboundedReceiver<Visited>,
    open: &Cell<usize>,
) -> anyhow::Result<Infallible> {
    let mut going = FuturesUnordered::new();
    loop {
        tokio::select! {
            visited = over.recv() => match visited {
                Some(visited) => going.push(see_to(scene, visited)),
                None => bail!("nobody counts the visits"),
            },
            Some(done) = going.next() => {
                done?;
                open.set(open.get().saturating_sub(1));
            }
        }
    }
}

async fn see_to(scene: &Scene<'_>, visited: Visited) -> anyhow::Result<()> {
    let Some(session) = visited.played.session_id else { return Ok(()) };
    let name = &visited.played.case.name;
    let mut driver = Driver { scene, visited: &visited, session, setup: None };
    while !driver.turn().await.with_context(|| name.clone())? {
        sleep(LOOK_EVERY * 2).await;
    }
    Ok(())
}

/// How much is given back of a session that cost so much.
pub(super) const fn given_back(kind: Kind, total: Amount) -> Amount {
    match kind {
        Kind::GivenBack => total,
        Kind::PartGivenBack => Amount::new(total.minor / 3, total.currency),
        _ => Amount::zero(total.currency),
    }
}

/// Who sees to a session.
struct Driver<'a> {
    scene: &'a Scene<'a>,
    visited: &'a Visited,
    session: SessionId,
    /// The SetupIntent of another card.
    setup: Option<String>,
}

impl Driver<'_> {
    /// Does what can be done now; true once all is.
    async fn turn(&mut self) -> anyhow::Result<bool> {
        let Some(payment) = self.scene.payment(self.session).await? else { return Ok(false) };
        if payment.total.is_none() || payment.pending.is_some() {
            return Ok(false);
        }
        match self.visited.visit.kind {
            Kind::GivenBack | Kind::PartGivenBack => self.give_back(&payment).await,
            _ if payment.owed.is_zero() => Ok(true),
            Kind::PayLink => self.pay_on_page(&payment).await,
            Kind::OtherCard => self.pay_with_other_card(&payment).await,
            _ => Ok(true),
        }
    }

    async fn give_back(&self, payment: &Payment) -> anyhow::Result<bool> {
        if !payment.owed.is_zero() {
            return Ok(false);
        }
        if !payment.refunds.is_empty() {
            return Ok(payment.refunds.iter().all(|back| back.state == RefundState::Succeeded));
        }
        let what = match self.visited.visit.kind {
            Kind::GivenBack => json!({ "full": true, "reason": "storm" }),
            kind => {
                let amount = given_back(kind, verdict::price(self.visited)?);
                json!({ "amount": amount, "reason": "storm" })
            }
        };
        let token = self.scene.platform.token("finance-storm", &["finance"])?;
        let path = format!("/operator/sessions/{}/refunds", self.session);
        self.scene.try_post(&token, &path, &self.key("refund"), &what).await?;
        Ok(false)
    }

    async fn pay_on_page(&self, payment: &Payment) -> anyhow::Result<bool> {
        if let Some(link) = payment.open_link() {
            // Refused when it was paid and we were not told: then we will be.
            let path = format!("checkout/sessions/{}/pay", link.id);
            let _ = self.scene.stripe.control(&path, &json!({ "card": "pm_card_visa" })).await;
        } else if payment.debt.as_ref().is_some_and(|debt| !debt.link_wanted) {
            let path = format!("/driver/debts/{}/link", self.session);
            self.scene.try_post(&self.token()?, &path, &self.key("link"), &json!({})).await?;
        }
        Ok(false)
    }

    async fn pay_with_other_card(&mut self, payment: &Payment) -> anyhow::Result<bool> {
        if payment.debt.as_ref().is_none_or(|debt| debt.again_now) {
            return Ok(false);
        }
        let Some(card) = self.other_card().await? else { return Ok(false) };
        let path = format!("/driver/debts/{}/pay", self.session);
        let body = json!({ "payment_method": card });
        self.scene.try_post(&self.token()?, &path, &self.key("pay"), &body).await?;
        Ok(false)
    }

    /// Adds a card as the app's Payment Element does; gives its id once it is saved.
    async fn other_card(&mut self) -> anyhow::Result<Option<String>> {
        let Some(setup) = &self.setup else {
            let (path, key) = ("/driver/payment-methods", self.key("card"));
            let setup = self.scene.try_post(&self.token()?, path, &key, &json!({})).await?;
            let id = setup.as_ref().and_then(|setup| setup.get("id")?.as_str());
            self.setup = id.map(str::to_owned);
            return Ok(None);
        };
        let path = format!("/v1/setup_intents/{setup}");
        let stripe = &self.scene.stripe;
        let Ok(seen) = stripe.get(&path).await else { return Ok(None) };
        if seen.get("status").and_then(Value::as_str) != Some("succeeded") {
            let form = [("payment_method", "pm_card_mastercard")];
            // Whatever comes of it is seen the next time.
            let _ = stripe.post(&format!("{path}/confirm"), &form).await;
            return Ok(None);
        }
        Ok(seen.get("payment_method").and_then(Value::as_str).map(str::to_owned))
    }

    fn token(&self) -> anyhow::Result<String> {
        self.scene.platform.token(self.visited.visit.driver.as_str(), &[])
    }

    fn key(&self, what: &str) -> String {
        format!("storm-{}-{what}", self.visited.visit.number)
    }
}
