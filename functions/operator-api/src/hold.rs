//! How much is held on a card, as the document describes what [`network::HoldRule`] reads and writes.

use http_api::AmountView;
use utoipa::ToSchema;

/// How much to hold on a card: what an expected session would cost, and some more.
#[derive(ToSchema)]
#[schema(as = HoldRule)]
#[expect(dead_code, reason = "only describes `network::HoldRule`")]
pub(crate) struct HoldRuleBody {
    /// The energy of that session.
    energy: ExpectedEnergyBody,
    /// How long it charges, in minutes.
    #[schema(example = 60)]
    minutes: u32,
    /// How long the vehicle stands there afterwards, in minutes.
    #[schema(required = false)]
    idle_minutes: u32,
    /// How much is added to its price, in percent.
    #[schema(required = false)]
    margin_percent: u32,
    /// The least that is held.
    at_least: Option<AmountView>,
}

/// The energy of an expected session.
#[derive(ToSchema)]
#[schema(as = ExpectedEnergy, rename_all = "snake_case")]
#[expect(dead_code, reason = "only describes `network::ExpectedEnergy`")]
pub(crate) enum ExpectedEnergyBody {
    /// That many kWh.
    Kwh(u32),
    /// What flows with that many kW all the time.
    PowerKw(u32),
}
