//! A long list of undelivered events, against the twin, over HTTP.

use chrono::TimeDelta;
use stripe_twin::WebhookEndpoint;

use super::super::{
    failure,
    tests::{Bench, bench, post},
};
use super::*;

const MANY: usize = 250;

/// So many events of ours that nobody has taken, and others among them.
async fn undelivered() -> Bench {
    let bench = bench("pm_card_visa").await;
    let endpoint = WebhookEndpoint::new("http://127.0.0.1:9/", "whsec_test");
    bench.twin.add_webhook_endpoint(WebhookEndpoint { lose_per_mille: 1000, ..endpoint });
    for number in 0..MANY {
        post(&bench.twin, "payment_intents", &[("amount", "1000"), ("currency", "eur")]).await;
        if number % 50 == 0 {
            post(&bench.twin, "customers", &[]).await;
        }
    }
    bench
}

#[tokio::test]
async fn a_long_list_is_read_whole_or_said_to_be_too_long() {
    let bench = undelivered().await;
    let from = failure::now() - TimeDelta::hours(1);
    let listed = bench.stripe.undelivered_events(from, None, 100).await.unwrap();
    assert_eq!(listed, Undelivered::TooMany);
    let listed = bench.stripe.undelivered_events(from, None, usize::MAX).await.unwrap();
    let Undelivered::All(events) = listed else { panic!("{listed:?}") };
    let mut ids: Vec<_> = events.iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), MANY, "each once, and none of a type that nobody here acts on");
    let ours = events.iter().map(|(_, body)| crate::webhook::listed_event(body).unwrap());
    let ours: Vec<_> = ours.map(|event| event.event_type).collect();
    assert!(ours.iter().all(|kind| EVENT_TYPES.contains(&kind.as_str())), "{ours:?}");
}

#[tokio::test]
async fn only_a_stretch_of_time_is_listed() {
    let bench = undelivered().await;
    let now = failure::now();
    let (before, after) = (now - TimeDelta::hours(1), now + TimeDelta::hours(1));
    for (from, to) in [(before - TimeDelta::hours(1), Some(before)), (after, None)] {
        let listed = bench.stripe.undelivered_events(from, to, usize::MAX).await.unwrap();
        assert_eq!(listed, Undelivered::All(vec![]));
    }
    let listed = bench.stripe.undelivered_events(before, Some(after), usize::MAX).await.unwrap();
    assert!(matches!(&listed, Undelivered::All(events) if events.len() == MANY));
}
