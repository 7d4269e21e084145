//! Everything the twin remembers.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    balance::{self, BalanceTransaction, Payout},
    catalog::{Price, Product},
    charges::Charge,
    checkout,
    customers::Customer,
    disputes::{self, Dispute},
    events::Event,
    invoices::{self, Invoice},
    payment_intents::{self, PaymentIntent},
    payment_methods::PaymentMethod,
    refunds::{self, Refund},
    setup_intents::SetupIntent,
    subscriptions::{self, Subscription},
    table::Table,
    terminal::{Location, Reader},
};
use crate::{
    faults::{DeclineRule, Faults},
    webhooks::Undelivered,
};

/// The API version whose shapes the twin speaks.
pub(crate) const API_VERSION: &str = "2026-09-30.endive";

/// One Stripe account in test mode.
#[derive(Debug)]
pub(crate) struct World {
    /// Seconds since the epoch; set from the clock before every request.
    pub(crate) now: i64,
    pub(crate) rng: StdRng,
    pub(crate) customers: Table<Customer>,
    pub(crate) payment_methods: Table<PaymentMethod>,
    pub(crate) payment_intents: Table<PaymentIntent>,
    pub(crate) charges: Table<Charge>,
    pub(crate) refunds: Table<Refund>,
    pub(crate) disputes: Table<Dispute>,
    pub(crate) balance_transactions: Table<BalanceTransaction>,
    pub(crate) payouts: Table<Payout>,
    pub(crate) setup_intents: Table<SetupIntent>,
    pub(crate) checkout_sessions: Table<checkout::Session>,
    pub(crate) locations: Table<Location>,
    pub(crate) readers: Table<Reader>,
    /// The UTC day that payouts have reached.
    pub(crate) paid_out_until: i64,
    pub(crate) products: Table<Product>,
    pub(crate) prices: Table<Price>,
    pub(crate) subscriptions: Table<Subscription>,
    pub(crate) invoices: Table<Invoice>,
    pub(crate) events: Table<Event>,
    /// Events that no webhook delivery was started for yet.
    pub(crate) outgoing: Vec<String>,
    /// Events that some endpoint has not taken.
    pub(crate) undelivered: Undelivered,
    pub(crate) faults: Faults,
    pub(crate) decline_rules: Vec<DeclineRule>,
    /// Whether the account pays interchange plus and so has increments, overcapture and long holds
    /// (<https://docs.stripe.com/payments/flexible-payments>).
    pub(crate) ic_plus: bool,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: 0,
            rng: StdRng::seed_from_u64(seed),
            customers: Table::new("customer", "id"),
            payment_methods: Table::new("PaymentMethod", "payment_method"),
            payment_intents: Table::new("payment_intent", "intent"),
            charges: Table::new("charge", "id"),
            refunds: Table::new("refund", "id"),
            disputes: Table::new("dispute", "id"),
            balance_transactions: Table::new("balance_transaction", "id"),
            payouts: Table::new("payout", "id"),
            setup_intents: Table::new("setupintent", "intent"),
            checkout_sessions: Table::new("checkout.session", "session"),
            locations: Table::new("location", "location"),
            readers: Table::new("reader", "reader"),
            paid_out_until: 0,
            products: Table::new("product", "id"),
            prices: Table::new("price", "price"),
            subscriptions: Table::new("subscription", "id"),
            invoices: Table::new("invoice", "invoice"),
            events: Table::new("notification", "id"),
            outgoing: Vec::new(),
            undelivered: Undelivered::default(),
            faults: Faults::default(),
            decline_rules: Vec::new(),
            ic_plus: false,
        }
    }

    /// Lets happen what time makes happen: holds expire, subscriptions renew, refunds settle,
    /// disputes are lost by silence, what is available is paid out.
    pub(crate) fn tick(&mut self, now: i64) {
        self.now = self.now.max(now);
        payment_intents::expire_holds(self);
        subscriptions::renew(self);
        invoices::retry(self);
        refunds::settle(self);
        disputes::expire(self);
        checkout::expire_unpaid(self);
        balance::pay_out(self);
    }

    /// A new id, as long as Stripe's.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        const LETTERS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letters = (0..24).map(|_| {
            let letter = LETTERS.get(self.rng.random_range(0..LETTERS.len())).copied();
            char::from(letter.unwrap_or(b'0'))
        });
        format!("{prefix}_{}", letters.collect::<String>())
    }

    /// Records an event and lets it go out to the webhook endpoints.
    pub(crate) fn emit(&mut self, kind: &str, object: Value) {
        let id = self.id("evt");
        let event = Event { id: id.clone(), kind: kind.to_owned(), created: self.now, object };
        self.events.insert(&id, event);
        self.outgoing.push(id);
    }

    /// What tests and the demo's closing check look at.
    pub(crate) fn state(&self) -> Value {
        let intents: Vec<Value> = self.payment_intents.iter().map(PaymentIntent::render).collect();
        let charges: Vec<Value> = self.charges.iter().map(Charge::render).collect();
        let subscriptions = self.subscriptions.iter().map(Subscription::render);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for event in self.events.iter() {
            *kinds.entry(&event.kind).or_default() += 1;
        }
        json!({
            "now": self.now,
            "customers": self.customers.len(),
            "payment_intents": intents,
            "charges": charges,
            "refunds": self.refunds.iter().map(Refund::render).collect::<Vec<_>>(),
            "disputes": self.disputes.iter().map(|d| d.render(self)).collect::<Vec<_>>(),
            "balance_transactions": self.balance_transactions.iter().map(|t| t.render(self.now)).collect::<Vec<_>>(),
            "checkout_sessions": self.checkout_sessions.iter().map(checkout::Session::render).collect::<Vec<_>>(),
            "readers": self.readers.iter().map(Reader::render).collect::<Vec<_>>(),
            "payouts": self.payouts.iter().map(Payout::render).collect::<Vec<_>>(),
            "subscriptions": subscriptions.collect::<Vec<_>>(),
            "events": kinds,
            "requests": self.faults.requests(),
            "faults": self.faults.counts(),
        })
    }
}
