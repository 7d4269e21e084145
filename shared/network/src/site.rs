//! Sites, the chargers on them, and the tariff versions they offer.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use quantities::{Amount, ChargePointId, Currency, Rounding, SiteId, TariffRef, TaxPercent};
use serde::{Deserialize, Serialize};

use crate::{PaymentPolicy, Tier};

/// A place with chargers: one time zone, one currency, one jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// What drivers call it.
    pub name: String,
    /// Where it is, as the CDR's location needs it.
    pub address: Address,
    /// IANA time zone: every local time of a tariff is read in it.
    pub time_zone: Tz,
    /// What its tariffs must be priced in.
    pub currency: Currency,
    /// What may be sold here, and how it is taxed.
    pub jurisdiction: Jurisdiction,
    /// Groups of sites that it belongs to, by name: a plan can be limited to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What is held on a card when a session starts; the most, where there is a rule.
    pub hold: Amount,
    /// How much of that is held, by what a session is expected to cost; all of it without a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_rule: Option<HoldRule>,
    /// What is done with a driver's money where there is a choice.
    #[serde(default)]
    pub payment: PaymentPolicy,
    /// A running session not heard of for this many seconds is closed and held for a person.
    pub silent_after_s: u32,
    /// An ended session whose connector is not free after this many seconds stops waiting for it.
    pub release_wait_s: u32,
}

/// How much to hold on a card: what an expected session would cost, and some more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRule {
    /// The energy of that session.
    pub energy: ExpectedEnergy,
    /// How long it charges, in minutes.
    pub minutes: u32,
    /// How long the vehicle stands there afterwards, in minutes.
    #[serde(default)]
    pub idle_minutes: u32,
    /// How much is added to its price, in percent.
    #[serde(default)]
    pub margin_percent: u32,
    /// The least that is held, such as what the payment provider asks for at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Amount>,
}

/// The energy of an expected session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedEnergy {
    /// That many kWh.
    Kwh(u32),
    /// What flows with that many kW all the time.
    PowerKw(u32),
}

/// A postal address and position, with the fields of OCPI 2.2.1 `CdrLocation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// Postal code, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// City.
    pub city: String,
    /// ISO 3166-1 alpha-3 country code.
    pub country: String,
    /// Decimal degrees north, as text: OCPI writes coordinates as strings.
    pub latitude: String,
    /// Decimal degrees east, as text.
    pub longitude: String,
}

/// What law says about selling at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four questions of law, each a yes or a no")]
pub struct Jurisdiction {
    /// Whether energy may be sold per kWh. Where not, tariffs with a price for ENERGY are refused.
    pub per_kwh_allowed: bool,
    /// Whether charging may be sold by time. Where not, tariffs with a price for TIME are refused.
    #[serde(default = "yes")]
    pub per_time_allowed: bool,
    /// Whether the site is under Regulation (EU) 2023/1804 (AFIR), whose article 5 says how ad hoc
    /// prices are made up and shown. What it asks of points of 50 kW and more holds for those
    /// deployed from 13 April 2024: a site whose fast ones are all older need not say so.
    #[serde(default)]
    pub afir: bool,
    /// The taxes that apply when a price component does not state its own: all at once, each on
    /// the price before taxes. A VAT is a list of one; an empty list is no tax.
    pub taxes: Vec<Tax>,
    /// Whether prices are shown to drivers with tax.
    #[serde(default)]
    pub prices_include_tax: bool,
    /// How amounts are rounded.
    #[serde(default)]
    pub rounding: Rounding,
    /// Who sells here, and owes the taxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<LegalEntity>,
}

const fn yes() -> bool {
    true
}

impl Jurisdiction {
    /// A place where everything may be sold with `taxes`, and nothing else is asked.
    #[must_use]
    pub fn taxed(taxes: Vec<Tax>) -> Self {
        Self {
            per_kwh_allowed: true,
            per_time_allowed: true,
            afir: false,
            taxes,
            prices_include_tax: false,
            rounding: Rounding::default(),
            seller: None,
        }
    }
}

/// A tax on the sale: VAT, or a sales tax.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tax {
    /// What the receipt calls it: `VAT`, `GST`, `Sales tax`.
    pub name: String,
    /// Its rate.
    pub percent: TaxPercent,
    /// The seller's account with the authority that it is paid to (OCPI 2.3.0 `account_number`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_number: Option<String>,
}

/// Who sells at a site, and pays the taxes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegalEntity {
    /// Its name as registered.
    pub name: String,
    /// Its address, in one line.
    pub address: String,
    /// Its number in the register of companies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company_number: Option<String>,
}

/// A charge point that may connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charger {
    /// Its identity.
    pub id: ChargePointId,
    /// The site it stands on.
    pub site_id: SiteId,
    /// The site's time zone, copied so that `$connect` needs one read.
    pub time_zone: Tz,
    /// Argon2 hash (PHC string) of its Basic authentication password.
    pub password_hash: String,
    /// OCPI EVSE id (eMI3), e.g. `NL*TWT*E1001*1`; a `{connector}` in it is replaced.
    pub evse_id: String,
    /// `AC_3_PHASE`, `DC`, …: OCPI `PowerType`.
    pub power_type: String,
    /// OCPI `ConnectorType`, e.g. `IEC_62196_T2`.
    pub standard: String,
    /// What a connector delivers at most, in watts (OCPI `Connector.max_electric_power`): readings
    /// that would need more are not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_electric_power: Option<u32>,
    /// The public keys its meters sign with, one for each meter it has or had: hex or base64 of a
    /// `SubjectPublicKeyInfo`, as printed on the meter, or the Open Charge Alliance's `oca:` form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meter_public_keys: Vec<String>,
}

/// What a site offers, and offered before: a tariff version per tier, each from a moment on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Offers {
    /// By tier, in order of [`Offer::from`].
    pub by_tier: BTreeMap<Tier, Vec<Offer>>,
}

/// One tariff version on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// From when on.
    pub from: DateTime<Utc>,
    /// Until the next offer of the tier begins.
    pub tariff: TariffRef,
}

impl Offers {
    /// The tariff version that a driver of `tier` was offered at `at`.
    ///
    /// A tier without an offer of its own pays what everybody pays. `None` when nothing was on
    /// offer then: such a session is never billed at a guess.
    #[must_use]
    pub fn at(&self, tier: &Tier, at: DateTime<Utc>) -> Option<&TariffRef> {
        let in_force = |tier: &Tier| {
            let offers = self.by_tier.get(tier)?;
            offers.iter().rev().find(|offer| offer.from <= at).map(|offer| &offer.tariff)
        };
        in_force(tier).or_else(|| in_force(&Tier::retail()))
    }

    /// Puts `offer` on sale for `tier`, in its place in time; one from the same moment is replaced.
    pub fn add(&mut self, tier: Tier, offer: Offer) {
        let offers = self.by_tier.entry(tier).or_default();
        offers.retain(|other| other.from != offer.from);
        let place = offers.partition_point(|other| other.from < offer.from);
        offers.insert(place, offer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(from: &str, version: u32) -> Offer {
        let tariff = TariffRef { id: "T1".parse().unwrap(), version };
        Offer { from: from.parse().unwrap(), tariff }
    }

    #[test]
    fn a_driver_gets_the_version_that_was_on_offer_then() {
        let mut offers = Offers::default();
        offers.add(Tier::retail(), offer("2026-02-01T00:00:00Z", 2));
        offers.add(Tier::retail(), offer("2026-01-01T00:00:00Z", 1));
        let at =
            |at: &str| offers.at(&Tier::retail(), at.parse().unwrap()).map(|tariff| tariff.version);
        assert_eq!(at("2025-12-31T23:59:59Z"), None);
        assert_eq!(at("2026-01-31T23:59:59Z"), Some(1));
        assert_eq!(at("2026-02-01T00:00:00Z"), Some(2));
    }

    #[test]
    fn a_member_without_an_offer_of_their_own_pays_retail() {
        let mut offers = Offers::default();
        offers.add(Tier::retail(), offer("2026-01-01T00:00:00Z", 1));
        let gold: Tier = "gold".parse().unwrap();
        let at = "2026-03-01T00:00:00Z".parse().unwrap();
        assert_eq!(offers.at(&gold, at).unwrap().version, 1);
        offers.add(gold.clone(), offer("2026-02-01T00:00:00Z", 7));
        assert_eq!(offers.at(&gold, at).unwrap().version, 7);
    }
}
