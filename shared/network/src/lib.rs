//! The network as its operator describes it: sites, chargers, what is offered where, who may
//! charge and who pays.
//!
//! Invariant: no session state here; everything is written by the operator (or follows a
//! subscription), read when a session starts, and pinned into the session.

mod email;
mod entitlement;
mod partner;
mod policy;
mod reader;
mod reconciliation;
mod site;
mod subscription;
mod wallet;

pub use email::{EmailAddress, NotAnAddress};
pub use entitlement::{
    AccountKind, AppStart, Changed, Entitlement, EntitlementStatus, HoldRef, HoldRequest, Payer,
    PlanMembership, StartIntent, StartState, StartTerms, StripeCustomerId, StripePaymentIntentId,
    StripePaymentMethodId, StripeReaderId, SubscriptionId, Tier,
};
pub use partner::{RoamingPartner, WebhookSubscriber};
pub use policy::{Beyond, OnOutage, PaymentPolicy};
pub use reader::{Connector, Reader};
pub use reconciliation::{Drift, Reconciliation};
pub use site::{
    Address, Charger, ExpectedEnergy, HoldRule, Jurisdiction, LegalEntity, Offer, Offers, Site, Tax,
};
pub use subscription::{
    InvoiceState, Standing, Subscription, SubscriptionStatus, Trust, WhenStale,
};
pub use wallet::{Owed, Wallet, owes_now};
