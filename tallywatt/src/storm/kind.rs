//! The kinds of visits to a charger, and what must come of each whatever the weather.

use quantities::Currency;
use serde::Serialize;

/// Where energy is sold per kWh, as in `events/network`.
pub(super) const RETAIL_SITE: &str = "AMS-01";
/// The same with a smaller hold, which is raised or replaced.
pub(super) const HOLD_SITE: &str = "STORM-HOLD";
/// The same with readers that have the charger started.
pub(super) const READER_SITE: &str = "STORM-READER";
/// The same with chargers that start by themselves and have terminals of their own.
pub(super) const TERMINAL_SITE: &str = "STORM-TERMINAL";

/// What sort of visit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tag with a card behind it, the retail price.
    Retail,
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
    /// It comes near its hold, and the hold is raised while it runs.
    Raised,
    /// The same with a card whose hold cannot be raised: a second hold takes the first one's place.
    SecondHold,
    /// A fleet pays, by invoice.
    Fleet,
    /// An account with a contract pays, by invoice.
    Contract,
    /// A card at the reader, and then the charger is told to start.
    ReaderBefore,
    /// The charger starts, and then a card is presented at its terminal.
    ReaderAfter,
    /// The card at the reader is declined, and nothing starts.
    ReaderDeclined,
    /// Paid, and all of it is given back.
    GivenBack,
    /// Paid, and a part of it is given back.
    PartGivenBack,
    /// The bank wants its customer for the difference, who pays on a page of Stripe's.
    PayLink,
    /// The card refuses the difference, and the driver saves another one that pays it.
    OtherCard,
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
    /// Everything is paid, and all of it was given back.
    GivenBack,
    /// Everything is paid, and the part that was to be given back was.
    PartGivenBack,
    /// A partner owes it.
    ByPartner,
    /// An account owes it, by invoice.
    ByInvoice,
    /// No session began.
    NoSession,
}

/// What is drawn for a visit, from and to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) u32, pub(super) u32);

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 26] = [
        Self::Retail,
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
        Self::Raised,
        Self::SecondHold,
        Self::Fleet,
        Self::Contract,
        Self::ReaderBefore,
        Self::ReaderAfter,
        Self::ReaderDeclined,
        Self::GivenBack,
        Self::PartGivenBack,
        Self::PayLink,
        Self::OtherCard,
    ];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retail => "retail",
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
            Self::Raised => "hold raised",
            Self::SecondHold => "second hold",
            Self::Fleet => "fleet",
            Self::Contract => "contract",
            Self::ReaderBefore => "card at the reader, then start",
            Self::ReaderAfter => "start, then card at the reader",
            Self::ReaderDeclined => "card declined at the reader",
            Self::GivenBack => "refunded",
            Self::PartGivenBack => "refunded in part",
            Self::PayLink => "difference paid by link",
            Self::OtherCard => "difference paid by other card",
        }
    }

    /// How many of a hundred visits are of this kind.
    pub(super) const fn weight(self) -> usize {
        match self {
            Self::Retail => 14,
            Self::Member => 9,
            Self::AboveHold => 7,
            Self::Roaming | Self::Idle | Self::App => 6,
            Self::PerMinute => 5,
            Self::Free | Self::BelowMinimum => 4,
            Self::HoldDeclined
            | Self::DifferenceDeclined
            | Self::Raised
            | Self::SecondHold
            | Self::ReaderBefore => 3,
            Self::AppCharger
            | Self::AppDeclined
            | Self::HoldAuthentication
            | Self::DifferenceAuthentication
            | Self::Fleet
            | Self::Contract
            | Self::ReaderAfter
            | Self::ReaderDeclined
            | Self::GivenBack
            | Self::PartGivenBack
            | Self::PayLink
            | Self::OtherCard => 2,
        }
    }

    /// What must come of it.
    #[must_use]
    pub const fn ending(self) -> Ending {
        match self {
            Self::Retail
            | Self::Member
            | Self::AboveHold
            | Self::Idle
            | Self::PerMinute
            | Self::App
            | Self::Raised
            | Self::SecondHold
            | Self::ReaderBefore
            | Self::ReaderAfter
            | Self::PayLink
            | Self::OtherCard => Ending::Paid,
            Self::GivenBack => Ending::GivenBack,
            Self::PartGivenBack => Ending::PartGivenBack,
            Self::Free => Ending::NothingDue,
            Self::BelowMinimum | Self::HoldDeclined | Self::HoldAuthentication => Ending::Owed,
            Self::DifferenceDeclined | Self::DifferenceAuthentication => Ending::PartlyOwed,
            Self::Roaming => Ending::ByPartner,
            Self::Fleet | Self::Contract => Ending::ByInvoice,
            Self::AppCharger | Self::AppDeclined | Self::ReaderDeclined => Ending::NoSession,
        }
    }

    /// The site it happens at.
    pub(super) const fn site(self) -> &'static str {
        match self {
            Self::PerMinute => "TIME-01",
            Self::Raised | Self::SecondHold => HOLD_SITE,
            Self::ReaderBefore | Self::ReaderDeclined => READER_SITE,
            Self::ReaderAfter => TERMINAL_SITE,
            _ => RETAIL_SITE,
        }
    }

    /// How long it takes, others being 1: who waits for Stripe keeps their charger.
    pub(super) const fn patience(self) -> usize {
        match self {
            Self::Raised
            | Self::SecondHold
            | Self::ReaderBefore
            | Self::ReaderAfter
            | Self::ReaderDeclined => 4,
            _ => 1,
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
            // Increments are for other brands.
            Self::SecondHold => "pm_card_jcb",
            _ => "pm_card_visa",
        }
    }

    /// What the issuer says to charges without a hold, where the card does not say it itself:
    /// code and decline code.
    pub(super) const fn refuses_difference(self) -> Option<(&'static str, Option<&'static str>)> {
        match self {
            Self::DifferenceDeclined | Self::OtherCard => {
                Some(("card_declined", Some("insufficient_funds")))
            }
            Self::DifferenceAuthentication | Self::PayLink => {
                Some(("authentication_required", None))
            }
            _ => None,
        }
    }

    /// Whether a card is presented at a reader.
    pub(super) const fn at_reader(self) -> bool {
        matches!(self, Self::ReaderBefore | Self::ReaderAfter | Self::ReaderDeclined)
    }

    /// Whether somebody does something about its money when it is over.
    pub(super) const fn goes_on(self) -> bool {
        matches!(self, Self::GivenBack | Self::PartGivenBack | Self::PayLink | Self::OtherCard)
    }

    /// Whether the app starts it.
    pub(super) const fn by_app(self) -> bool {
        matches!(self, Self::App | Self::AppCharger | Self::AppDeclined)
    }

    /// How many visits one driver makes. Who owes money starts nothing more.
    pub(super) const fn visits_of_a_driver(self) -> usize {
        match self.ending() {
            Ending::Owed | Ending::PartlyOwed | Ending::NoSession => 1,
            _ if self.refuses_difference().is_some() => 1,
            _ => 4,
        }
    }

    const fn is_above_hold(self) -> bool {
        matches!(self, Self::AboveHold) || self.refuses_difference().is_some()
    }

    /// How much energy flows, in watt-hours. A hold of 30.00 is good for 61 kWh at the retail
    /// price, or 71 as 15 % more can be captured; one of 10.00 for 20 kWh, and for 30 when it is
    /// raised; and the least charge of 0.50 begins with 1.034 kWh, beyond the hold as well.
    pub(super) const fn energy_wh(self) -> Span {
        match self {
            Self::Free => Span(0, 0),
            Self::BelowMinimum => Span(100, 1_000),
            _ if self.is_above_hold() => Span(75_000, 95_000),
            Self::Raised | Self::SecondHold => Span(23_000, 27_000),
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
