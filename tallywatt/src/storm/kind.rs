//! The kinds of visits to a charger, and what must come of each whatever the weather.

use quantities::Currency;
use serde::Serialize;

/// What sort of visit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A card at the reader, the retail price.
    WalkUp,
    /// The price of a membership.
    Member,
    /// It costs more than is held: the difference is charged.
    AboveHold,
    /// No energy flows: nothing is due, the hold is released.
    Free,
    /// It costs less than Stripe takes: it is owed.
    BelowMinimum,
    /// The vehicle stays when it is full, and pays for that.
    Idle,
    /// A partner pays, by CDR.
    Roaming,
    /// In Chicago, by time and in dollars.
    PerMinute,
    /// Started from the app, with the hold before the session.
    App,
    /// Started from the app; the charger refuses, and the hold is released.
    AppCharger,
    /// Started from the app; the card refuses, and nothing starts.
    AppDeclined,
    /// The card refuses the hold: the charger is told to stop, what flowed is owed.
    HoldDeclined,
    /// The bank wants its customer for the hold.
    HoldAuthentication,
    /// The card lets the hold be placed and refuses the difference.
    DifferenceDeclined,
    /// The bank wants its customer for the difference.
    DifferenceAuthentication,
}

/// What must come of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Everything is paid.
    Paid,
    /// The hold is taken and the rest owed; or, had the hold come too late, everything owed.
    PartlyOwed,
    /// Everything is owed.
    Owed,
    /// Nothing was due.
    NothingDue,
    /// A partner owes it.
    ByPartner,
    /// No session began.
    NoSession,
}

/// What is drawn for a visit, from and to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) u32, pub(super) u32);

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 15] = [
        Self::WalkUp,
        Self::Member,
        Self::AboveHold,
        Self::Free,
        Self::BelowMinimum,
        Self::Idle,
        Self::Roaming,
        Self::PerMinute,
        Self::App,
        Self::AppCharger,
        Self::AppDeclined,
        Self::HoldDeclined,
        Self::HoldAuthentication,
        Self::DifferenceDeclined,
        Self::DifferenceAuthentication,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WalkUp => "walk-up",
            Self::Member => "member",
            Self::AboveHold => "above the hold",
            Self::Free => "no energy, free",
            Self::BelowMinimum => "below Stripe's minimum",
            Self::Idle => "idle when full",
            Self::Roaming => "roaming",
            Self::PerMinute => "by time, in dollars",
            Self::App => "from the app",
            Self::AppCharger => "from the app, charger refuses",
            Self::AppDeclined => "from the app, card refuses",
            Self::HoldDeclined => "hold declined",
            Self::HoldAuthentication => "hold wants its customer",
            Self::DifferenceDeclined => "difference declined",
            Self::DifferenceAuthentication => "difference wants its customer",
        }
    }

    /// How many of a hundred visits are of this kind.
    pub(super) const fn weight(self) -> usize {
        match self {
            Self::WalkUp => 26,
            Self::Member => 12,
            Self::AboveHold | Self::Roaming => 8,
            Self::Idle | Self::App => 7,
            Self::Free | Self::PerMinute => 6,
            Self::BelowMinimum => 5,
            Self::HoldDeclined => 4,
            Self::DifferenceDeclined => 3,
            Self::AppCharger
            | Self::AppDeclined
            | Self::HoldAuthentication
            | Self::DifferenceAuthentication => 2,
        }
    }

    /// What must come of it.
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::WalkUp
            | Self::Member
            | Self::AboveHold
            | Self::Idle
            | Self::PerMinute
            | Self::App => Ending::Paid,
            Self::Free => Ending::NothingDue,
            Self::BelowMinimum | Self::HoldDeclined | Self::HoldAuthentication => Ending::Owed,
            Self::DifferenceDeclined | Self::DifferenceAuthentication => Ending::PartlyOwed,
            Self::Roaming => Ending::ByPartner,
            Self::AppCharger | Self::AppDeclined => Ending::NoSession,
        }
    }

    /// The site it happens at, one of `events/network`.
    pub(super) const fn site(self) -> &'static str {
        match self {
            Self::PerMinute => "TIME-01",
            _ => "AMS-01",
        }
    }

    /// What that site sells in.
    #[must_use]
    pub const fn currency(self) -> Currency {
        match self {
            Self::PerMinute => Currency::USD,
            _ => Currency::EUR,
        }
    }

    pub(super) const fn tier(self) -> &'static str {
        match self {
            Self::Member => "gold",
            _ => "retail",
        }
    }

    /// The test card that pays, one of <https://docs.stripe.com/testing>.
    pub(super) const fn card(self) -> &'static str {
        match self {
            Self::AppDeclined | Self::HoldDeclined => "pm_card_chargeCustomerFail",
            Self::HoldAuthentication => "pm_card_authenticationRequired",
            _ => "pm_card_visa",
        }
    }

    /// What the issuer says to charges without a hold, where the card does not say it itself:
    /// code and decline code.
    pub(super) const fn refuses_difference(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::DifferenceDeclined => Some(("card_declined", Some("insufficient_funds"))),
            Self::DifferenceAuthentication => Some(("authentication_required", None)),
            _ => None,
        }
    }

    /// Whether the driver's card pays, and not a partner.
    pub(super) const fn pays_by_card(self) -> bool {
        !matches!(self, Self::Roaming)
    }

    /// Whether the app starts it.
    pub(super) const fn by_app(self) -> bool {
        matches!(self, Self::App | Self::AppCharger | Self::AppDeclined)
    }

    /// How many visits one driver makes. Who owes money starts nothing more.
    pub(super) const fn visits_of_a_driver(self) -> usize {
        match self.ending() {
            Ending::Owed | Ending::PartlyOwed | Ending::NoSession => 1,
            _ => 4,
        }
    }

    /// How much energy flows, in watt-hours. A hold of 30.00 is good for 61 kWh at the retail
    /// price, and the least charge of 0.50 begins with 1.034 kWh.
    pub(super) const fn energy_wh(self) -> Span {
        match self {
            Self::Free => Span(0, 0),
            Self::BelowMinimum => Span(100, 1_000),
            Self::AboveHold | Self::DifferenceDeclined | Self::DifferenceAuthentication => {
                Span(65_000, 95_000)
            }
            Self::Idle => Span(8_000, 15_000),
            _ => Span(3_000, 40_000),
        }
    }

    /// How long the vehicle stays full before and after the transaction's end, in minutes.
    pub(super) const fn idle_minutes(self) -> (Span, Span) {
        match self {
            Self::Idle => (Span(20, 60), Span(5, 30)),
            _ => (Span(0, 0), Span(0, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weights_are_hundredths() {
        assert_eq!(Kind::ALL.into_iter().map(Kind::weight).sum::<usize>(), 100);
    }
}
