//! Stripe as a source. <https://docs.stripe.com/billing/subscriptions/webhooks>,
//! <https://docs.stripe.com/api/subscriptions/object>

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use network::{InvoiceState, Subscription, SubscriptionId, SubscriptionStatus, Tier, WhenStale};
use payments::StripeClient;

use crate::{Cursor, Page, Source, SourceError, UnreadableEvent};

/// Key of a price's metadata that names the tier it is for.
const TIER: &str = "tier";
/// The most that Stripe puts on a page. <https://docs.stripe.com/api/pagination>
const PAGE: &str = "100";

/// Stripe's subscriptions.
#[derive(Debug, Clone)]
pub struct StripeSubscriptions {
    client: StripeClient,
}

impl StripeSubscriptions {
    /// Those of the account that `client` asks.
    #[must_use]
    pub const fn new(client: StripeClient) -> Self {
        Self { client }
    }
}

impl Source for StripeSubscriptions {
    fn subscription_of(
        &self,
        event_type: &str,
        object: &str,
    ) -> Result<Option<SubscriptionId>, UnreadableEvent> {
        subscription_of(event_type, object)
    }

    async fn fetch(&self, id: &SubscriptionId) -> Result<Option<Subscription>, SourceError> {
        let path = format!("/subscriptions/{id}");
        let query = BTreeMap::from([("expand[]", "latest_invoice".to_owned())]);
        let found = self.client.get::<StripeSubscription>("fetch subscription", &path, &query);
        found.await.map_err(unsaid)?.map(StripeSubscription::read).transpose()
    }

    async fn page(&self, after: Option<&Cursor>) -> Result<Page, SourceError> {
        // Without a status: all that have not been canceled.
        let mut query = BTreeMap::from([
            ("expand[]", "data.latest_invoice".to_owned()),
            ("limit", PAGE.to_owned()),
        ]);
        if let Some(Cursor(last)) = after {
            query.insert("starting_after", last.clone());
        }
        let page = self.client.get::<List>("list subscriptions", "/subscriptions", &query);
        let page = page.await.map_err(unsaid)?.ok_or_else(|| odd("no list"))?;
        Ok(page.read())
    }
}

fn subscription_of(
    event_type: &str,
    object: &str,
) -> Result<Option<SubscriptionId>, UnreadableEvent> {
    let unreadable = || UnreadableEvent { event_type: event_type.to_owned() };
    if event_type.starts_with("customer.subscription.") {
        let object: Named = serde_json::from_str(object).map_err(|_| unreadable())?;
        return Ok(Some(SubscriptionId(object.id)));
    }
    if event_type.starts_with("invoice.") {
        // Since API version 2025-03-31 (<https://docs.stripe.com/api/invoices/object>).
        let invoice: Invoice = serde_json::from_str(object).map_err(|_| unreadable())?;
        let details = invoice.parent.and_then(|parent| parent.subscription_details);
        return Ok(details.and_then(|details| details.subscription).map(SubscriptionId));
    }
    Ok(None)
}

fn unsaid(error: payments::PaymentError) -> SourceError {
    SourceError(Box::new(error))
}

fn odd(what: &'static str) -> SourceError {
    SourceError(what.into())
}

#[derive(serde::Deserialize)]
struct Named {
    id: String,
}

#[derive(serde::Deserialize)]
struct Invoice {
    parent: Option<InvoiceParent>,
}

#[derive(serde::Deserialize)]
struct InvoiceParent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(serde::Deserialize)]
struct SubscriptionDetails {
    subscription: Option<String>,
}

#[derive(miniserde::Deserialize)]
struct List {
    data: Vec<StripeSubscription>,
    has_more: bool,
}

impl List {
    /// Each by itself: one price that names no tier ends nobody else's membership.
    fn read(self) -> Page {
        let last = self.data.last().map(|subscription| Cursor(subscription.id.clone()));
        let read = |listed: StripeSubscription| (SubscriptionId(listed.id.clone()), listed.read());
        let subscriptions = self.data.into_iter().map(read).collect();
        Page { subscriptions, next: last.filter(|_| self.has_more) }
    }
}

/// The part of a subscription that we read.
#[derive(miniserde::Deserialize)]
struct StripeSubscription {
    id: String,
    status: String,
    cancel_at: Option<i64>,
    cancel_at_period_end: bool,
    ended_at: Option<i64>,
    latest_invoice: Option<LatestInvoice>,
    pause_collection: Option<PauseCollection>,
    items: Items,
}

#[derive(miniserde::Deserialize)]
struct PauseCollection {
    behavior: String,
}

#[derive(miniserde::Deserialize)]
struct LatestInvoice {
    status: Option<String>,
    attempted: bool,
}

/// Since API version 2025-03-31 the period is the items'.
/// <https://docs.stripe.com/changelog/basil>
#[derive(miniserde::Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(miniserde::Deserialize)]
struct Item {
    current_period_end: i64,
    price: Price,
}

#[derive(miniserde::Deserialize)]
struct Price {
    metadata: HashMap<String, String>,
}

impl StripeSubscription {
    fn read(self) -> Result<Subscription, SourceError> {
        let period_end = self.items.data.iter().map(|item| item.current_period_end).min();
        let period_end = period_end.and_then(moment).ok_or_else(|| odd("no period"))?;
        let at_period_end = self.cancel_at_period_end.then_some(period_end);
        let canceled_for = self.cancel_at.and_then(moment).or(at_period_end);
        Ok(Subscription {
            status: self.status(),
            invoice: self.invoice(),
            tier: self.tier()?,
            current_period_end: period_end,
            ends_at: self.ended_at.and_then(moment).or(canceled_for),
            id: SubscriptionId(self.id),
            as_of: DateTime::UNIX_EPOCH,
            stale_after: None,
            when_stale: WhenStale::default(),
        })
    }

    /// <https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses>. Pausing the
    /// collection leaves the status; with `void` no service is given meanwhile, the other
    /// behaviours are for giving it free of charge
    /// (<https://docs.stripe.com/billing/subscriptions/pause-payment>).
    fn status(&self) -> SubscriptionStatus {
        let is_void = self.pause_collection.as_ref().is_some_and(|pause| pause.behavior == "void");
        match self.status.as_str() {
            "trialing" | "active" if is_void => SubscriptionStatus::Paused,
            "trialing" => SubscriptionStatus::Trialing,
            "active" => SubscriptionStatus::Active,
            "past_due" => SubscriptionStatus::PastDue,
            "unpaid" => SubscriptionStatus::Unpaid,
            "paused" => SubscriptionStatus::Paused,
            "incomplete" => SubscriptionStatus::Incomplete,
            "canceled" | "incomplete_expired" => SubscriptionStatus::Canceled,
            _ => SubscriptionStatus::Unknown,
        }
    }

    /// An invoice that was marked uncollectible is one that was not paid: unless the collection is
    /// paused in that way, Stripe's choice for giving the service free of charge
    /// (<https://docs.stripe.com/billing/subscriptions/pause-payment>).
    fn invoice(&self) -> Option<InvoiceState> {
        let invoice = self.latest_invoice.as_ref()?;
        let pause = self.pause_collection.as_ref();
        let is_given = pause.is_some_and(|pause| pause.behavior == "mark_uncollectible");
        let is_uncollectible = invoice.status.as_deref() == Some("uncollectible");
        if is_uncollectible && is_given { Some(InvoiceState::Settled) } else { invoice.state() }
    }

    /// The tier that a price of it names: the first that names one.
    fn tier(&self) -> Result<Option<Tier>, SourceError> {
        let named = self.items.data.iter().find_map(|item| item.price.metadata.get(TIER));
        named.map(|name| name.parse()).transpose().map_err(|_| odd("a price for no tier"))
    }
}

impl LatestInvoice {
    /// <https://docs.stripe.com/invoicing/overview#invoice-statuses>. A draft is tried about an
    /// hour after it was made; a void one is no longer wanted, an uncollectible one given up.
    fn state(&self) -> Option<InvoiceState> {
        match self.status.as_deref()? {
            "paid" | "void" => Some(InvoiceState::Settled),
            "uncollectible" => Some(InvoiceState::Failed),
            "open" if self.attempted => Some(InvoiceState::Failed),
            "open" | "draft" => Some(InvoiceState::Due),
            _ => None,
        }
    }
}

fn moment(timestamp: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(timestamp, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_END: i64 = 1_775_000_000;

    fn read(status: &str, more: &str) -> Subscription {
        object(status, more).read().unwrap()
    }

    fn object(status: &str, more: &str) -> StripeSubscription {
        let text = format!(
            r#"{{"id":"sub_1","status":"{status}","cancel_at":null,"cancel_at_period_end":false,
            "ended_at":null,"latest_invoice":null,"pause_collection":null,
            "items":{{"data":[{{"current_period_end":{PERIOD_END},"price":{{"metadata":{{}}}}}}]}}}}"#
        );
        let mut object: serde_json::Value = serde_json::from_str(&text).unwrap();
        let more: serde_json::Value = serde_json::from_str(more).unwrap();
        for (name, value) in more.as_object().unwrap() {
            object[name] = value.clone();
        }
        miniserde::json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn one_price_that_names_no_tier_is_unreadable_by_itself() {
        let item = |tier: &str| {
            let price = format!(r#"{{"metadata":{{"tier":"{tier}"}}}}"#);
            format!(r#"{{"current_period_end":{PERIOD_END},"price":{price}}}"#)
        };
        let listed = |id: &str, tier: &str| {
            object("active", &format!(r#"{{"id":"{id}","items":{{"data":[{}]}}}}"#, item(tier)))
        };
        let data =
            vec![listed("sub_1", "gold"), listed("sub_2", "Gold tier"), listed("sub_3", "gold")];
        let page = List { data, has_more: true }.read();
        let read = page.subscriptions.iter().map(|(id, read)| (id.0.as_str(), read.is_ok()));
        let read: Vec<_> = read.collect();
        assert_eq!(read, [("sub_1", true), ("sub_2", false), ("sub_3", true)]);
        assert_eq!(page.next, Some(Cursor("sub_3".to_owned())));
        let page = List { data: vec![listed("sub_2", "")], has_more: true }.read();
        assert_eq!(page.next, Some(Cursor("sub_2".to_owned())), "the list goes on all the same");
    }

    #[test]
    fn every_status_of_stripes_has_one_of_ours() {
        use SubscriptionStatus::{
            Active, Canceled, Incomplete, PastDue, Paused, Trialing, Unknown, Unpaid,
        };
        let table = [
            ("trialing", Trialing),
            ("active", Active),
            ("past_due", PastDue),
            ("unpaid", Unpaid),
            ("paused", Paused),
            ("incomplete", Incomplete),
            ("incomplete_expired", Canceled),
            ("canceled", Canceled),
            ("hibernating", Unknown),
        ];
        for (stripes, ours) in table {
            assert_eq!(read(stripes, "{}").status, ours, "{stripes}");
        }
    }

    #[test]
    fn a_paused_collection_is_a_pause_only_where_no_service_is_given() {
        let paused = |status: &str, behavior: &str| {
            read(status, &format!(r#"{{"pause_collection":{{"behavior":"{behavior}"}}}}"#)).status
        };
        assert_eq!(paused("active", "void"), SubscriptionStatus::Paused);
        assert_eq!(paused("trialing", "void"), SubscriptionStatus::Paused);
        assert_eq!(paused("active", "keep_as_draft"), SubscriptionStatus::Active);
        assert_eq!(paused("active", "mark_uncollectible"), SubscriptionStatus::Active);
        assert_eq!(paused("past_due", "void"), SubscriptionStatus::PastDue);
    }

    #[test]
    fn the_latest_invoice_is_settled_due_or_failed() {
        let invoice = |status: &str, attempted: bool| {
            let more = format!(
                r#"{{"latest_invoice":{{"status":{status},"attempted":{attempted},"id":"in_1"}}}}"#
            );
            read("active", &more).invoice
        };
        assert_eq!(invoice(r#""paid""#, true), Some(InvoiceState::Settled));
        assert_eq!(invoice(r#""void""#, false), Some(InvoiceState::Settled));
        assert_eq!(invoice(r#""uncollectible""#, true), Some(InvoiceState::Failed));
        assert_eq!(invoice(r#""uncollectible""#, false), Some(InvoiceState::Failed));
        assert_eq!(invoice(r#""draft""#, false), Some(InvoiceState::Due));
        assert_eq!(invoice(r#""open""#, false), Some(InvoiceState::Due));
        assert_eq!(invoice(r#""open""#, true), Some(InvoiceState::Failed));
        assert_eq!(invoice("null", false), None);
    }

    #[test]
    fn what_is_uncollectible_because_it_is_given_away_is_settled() {
        let now = moment(PERIOD_END - 1).unwrap();
        for (behavior, gives) in [("mark_uncollectible", true), ("keep_as_draft", false)] {
            let more = format!(
                r#"{{"pause_collection":{{"behavior":"{behavior}"}},
                "latest_invoice":{{"status":"uncollectible","attempted":false}}}}"#
            );
            assert_eq!(read("active", &more).gives_at(now), gives, "{behavior}");
        }
        let given_up = r#"{"latest_invoice":{"status":"uncollectible","attempted":true}}"#;
        assert!(!read("active", given_up).gives_at(now));
    }

    #[test]
    fn the_end_is_the_earliest_period_and_the_day_it_was_canceled_for() {
        let two = format!(
            r#"{{"items":{{"data":[
                {{"current_period_end":{PERIOD_END},"price":{{"metadata":{{}}}}}},
                {{"current_period_end":{},"price":{{"metadata":{{"tier":"gold"}}}}}}]}}}}"#,
            PERIOD_END - 60
        );
        let known = read("active", &two);
        assert_eq!(Some(known.current_period_end), moment(PERIOD_END - 60));
        assert_eq!((known.ends_at, known.tier.unwrap().as_str()), (None, "gold"));
        let leaving = read("active", r#"{"cancel_at_period_end":true}"#);
        assert_eq!(leaving.ends_at, moment(PERIOD_END));
        assert_eq!(read("active", r#"{"cancel_at":1774000000}"#).ends_at, moment(1_774_000_000));
        assert_eq!(read("canceled", r#"{"ended_at":1773000000}"#).ends_at, moment(1_773_000_000));
    }

    #[test]
    fn an_event_says_which_subscription_and_nothing_else_of_it_is_read() {
        let of = |event_type: &str, object: &str| subscription_of(event_type, object);
        let sub = Ok(Some(SubscriptionId("sub_1".to_owned())));
        assert_eq!(of("customer.subscription.paused", r#"{"id":"sub_1","items":"gone"}"#), sub);
        let billed = r#"{"parent":{"subscription_details":{"subscription":"sub_1"}}}"#;
        assert_eq!(of("invoice.payment_failed", billed), sub);
        assert_eq!(of("invoice.paid", r#"{"parent":null}"#), Ok(None));
        assert_eq!(of("payment_intent.succeeded", "{}"), Ok(None));
        assert!(of("customer.subscription.updated", "{}").is_err());
        assert!(of("invoice.paid", "[]").is_err());
    }
}
