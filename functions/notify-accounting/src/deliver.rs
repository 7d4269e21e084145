//! Who gets an event, and who has it already.

use anyhow::bail;
use messages::Envelope;
use network::WebhookSubscriber;
use runtime::{Invocation, Metric};
use store::{Delivery, Store};

use crate::webhook::Webhooks;

pub(crate) struct Notifier {
    pub(crate) store: Store,
    pub(crate) webhooks: Webhooks,
}

impl Notifier {
    pub(crate) async fn on_event(
        &self,
        envelope: &Envelope,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let event_type = envelope.event.event_type();
        let subscribers = self.store.subscribers().await?;
        let wanting = subscribers.iter().filter(|subscriber| subscriber.wants(event_type));
        let log = self.store.deliveries(&envelope.id).await?;
        let mut failures = Vec::new();
        for subscriber in wanting {
            let before = log.iter().find(|delivery| delivery.recipient == subscriber.id.as_str());
            if before.is_some_and(|delivery| delivery.delivered_at.is_some()) {
                continue;
            }
            if let Err(error) = self.deliver(envelope, subscriber, before, invocation).await {
                failures.push(format!("{}: {error:#}", subscriber.id));
            }
        }
        if !failures.is_empty() {
            bail!("not delivered to {}", failures.join("; "));
        }
        invocation.outcome("delivered");
        Ok(())
    }

    async fn deliver(
        &self,
        envelope: &Envelope,
        subscriber: &WebhookSubscriber,
        before: Option<&Delivery>,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let answer = self.webhooks.post(subscriber, envelope, invocation.now()).await;
        let status = answer.as_ref().ok().copied();
        let taken = status.is_some_and(|status| (200..300).contains(&status));
        let delivery = Delivery {
            recipient: subscriber.id.to_string(),
            attempts: before.map_or(0, |delivery| delivery.attempts) + 1,
            last_status: status,
            last_attempt_at: invocation.now(),
            delivered_at: taken.then_some(invocation.now()),
        };
        self.store.log_delivery(&envelope.id, &delivery).await?;
        let status = answer?;
        if !taken {
            bail!("answered with HTTP {status}");
        }
        invocation.count(Metric::Deliveries, 1);
        Ok(())
    }
}
