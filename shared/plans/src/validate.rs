//! What is wrong with a plan before it is published.

use network::Site;
use ocpi::{Tariff, TariffDimensionType};
use quantities::Currency;
use rust_decimal::Decimal;

use crate::{Allowance, Discount, Finding, Plan, Reduction, Scope, finding::Findings};

/// What is known of the network that a plan is for. What is not known is not checked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// All sites.
    pub sites: Option<&'a [Site]>,
    /// The tariffs on offer to those who will have the plan.
    pub tariffs: Option<&'a [Tariff]>,
}

impl Plan {
    /// Everything that is wrong with it, in a network of which `known` is known.
    #[must_use]
    pub fn validate(&self, known: &Known<'_>) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.check_whole(&mut findings);
        self.check_cap(&mut findings);
        for (index, discount) in self.discounts.iter().enumerate() {
            self.check_discount(index, discount, &mut findings);
        }
        for (index, allowance) in self.allowances.iter().enumerate() {
            self.check_allowance(index, allowance, &mut findings);
        }
        if let Some(sites) = known.sites {
            self.check_scope(sites, &mut findings);
            self.check_sites(sites, &mut findings);
        }
        if let Some(tariffs) = known.tariffs {
            self.check_tariffs(tariffs, &mut findings);
        }
        findings.into_list()
    }

    fn check_whole(&self, findings: &mut Findings) {
        if self.name.trim().is_empty() {
            findings.error("no_name", "name", "empty; the receipt shows it".to_owned());
        }
        let nothing = self.discounts.is_empty() && self.allowances.is_empty();
        if nothing && !self.waive_start_fee && self.spending_cap.is_none() {
            let message = "it changes no price; add a discount, an allowance or a spending cap";
            findings.warning("changes_nothing", "", message.to_owned());
        }
    }

    fn check_cap(&self, findings: &mut Findings) {
        let Some(cap) = self.spending_cap else { return };
        let place = "spending_cap";
        if cap.amount.value <= Decimal::ZERO {
            let message = format!(
                "{} is no amount that anybody could spend; state more than 0, or block the account",
                cap.amount.value
            );
            findings.error("cap_of_zero", place, message);
        }
        if cap.amount.currency != self.currency {
            let message = format!(
                "the cap is in {}, the plan in {}; use one currency",
                cap.amount.currency, self.currency
            );
            findings.error("currency_mismatch", place, message);
        }
    }

    fn check_discount(&self, index: usize, discount: &Discount, findings: &mut Findings) {
        let place = format!("discounts[{index}]");
        let dimension = discount.dimension.as_str();
        let earlier = self.discounts.iter().take(index);
        if earlier.map(|other| other.dimension).any(|other| other == discount.dimension) {
            let message = format!("{dimension} has a discount already; leave one of them");
            findings.error("discount_twice", place.clone(), message);
        }
        if discount.dimension == TariffDimensionType::Flat && self.waive_start_fee {
            let message = "the start fee is waived already; remove the discount, or \
                           waive_start_fee";
            findings.warning("waived_already", place.clone(), message.to_owned());
        }
        check_reduction(format!("{place}.by"), discount, findings);
    }

    fn check_allowance(&self, index: usize, allowance: &Allowance, findings: &mut Findings) {
        let place = format!("allowances[{index}]");
        let dimension = allowance.dimension.as_str();
        let earlier = self.allowances.iter().take(index);
        if earlier.map(|other| other.dimension).any(|other| other == allowance.dimension) {
            let message = format!("{dimension} has an allowance already; leave one of them");
            findings.error("allowance_twice", place.clone(), message);
        }
        if allowance.dimension == TariffDimensionType::Flat {
            let message = "a start has no quantity; use waive_start_fee".to_owned();
            findings.error("allowance_of_starts", format!("{place}.dimension"), message);
        }
        let quantity = allowance.quantity;
        if quantity <= Decimal::ZERO {
            let unit =
                if allowance.dimension == TariffDimensionType::Energy { "kWh" } else { "minutes" };
            let message =
                format!("{quantity} {unit} are none; state more, or remove the allowance");
            findings.error("allowance_of_zero", format!("{place}.quantity"), message);
        }
    }

    /// The sites and groups that it names exist.
    fn check_scope(&self, known: &[Site], findings: &mut Findings) {
        let Scope::Only { sites, groups } = &self.sites else { return };
        for (index, site) in sites.iter().enumerate() {
            if known.iter().all(|other| other.id != *site) {
                let message = format!("there is no site `{site}`; correct or remove it");
                findings.error("unknown_site", format!("sites.only.sites[{index}]"), message);
            }
        }
        for (index, group) in groups.iter().enumerate() {
            if !known.iter().any(|site| site.groups.contains(group)) {
                let message = format!("no site belongs to `{group}`; correct or remove it");
                findings.error("unknown_group", format!("sites.only.groups[{index}]"), message);
            }
        }
    }

    /// What it says may be said at the sites that it covers.
    fn check_sites(&self, known: &[Site], findings: &mut Findings) {
        for site in known.iter().filter(|site| self.sites.covers(&site.id, &site.groups)) {
            let id = &site.id;
            if site.currency != self.currency {
                let message = format!(
                    "site `{id}` sells in {}, the plan is in {}; limit the plan to other sites",
                    site.currency, self.currency
                );
                // A plan for every site simply does not apply there.
                match self.sites {
                    Scope::All => findings.warning("currency_mismatch", "sites", message),
                    Scope::Only { .. } => findings.error("currency_mismatch", "sites", message),
                }
                continue;
            }
            let forbidden = [
                (TariffDimensionType::Energy, site.jurisdiction.per_kwh_allowed, "per kWh"),
                (TariffDimensionType::Time, site.jurisdiction.per_time_allowed, "by time"),
            ];
            for (dimension, allowed, how) in forbidden {
                let priced = |discount: &Discount| {
                    discount.dimension == dimension && matches!(discount.by, Reduction::Price(_))
                };
                let place = self.discounts.iter().position(priced);
                if let (Some(index), false) = (place, allowed) {
                    let message = format!(
                        "charging may not be sold {how} at site `{id}`; state a percentage, or \
                         limit the plan to other sites"
                    );
                    let place = format!("discounts[{index}].by.price");
                    findings.error("price_not_allowed", place, message);
                }
            }
        }
    }

    /// What it makes cheaper is priced at all, and more than it takes off.
    fn check_tariffs(&self, tariffs: &[Tariff], findings: &mut Findings) {
        let same_currency =
            |tariff: &&Tariff| tariff.currency.parse::<Currency>() == Ok(self.currency);
        let tariffs: Vec<&Tariff> = tariffs.iter().filter(same_currency).collect();
        if tariffs.is_empty() {
            let message =
                format!("no tariff on offer is in {}; the plan never applies", self.currency);
            findings.error("no_tariff", "currency", message);
            return;
        }
        for (index, discount) in self.discounts.iter().enumerate() {
            let place = format!("discounts[{index}]");
            match prices(&tariffs, discount.dimension) {
                Some(range) => compare(&place, discount, range, findings),
                None => not_priced(place, discount.dimension, findings),
            }
        }
        for (index, allowance) in self.allowances.iter().enumerate() {
            if prices(&tariffs, allowance.dimension).is_none() {
                not_priced(format!("allowances[{index}]"), allowance.dimension, findings);
            }
        }
        if self.waive_start_fee && prices(&tariffs, TariffDimensionType::Flat).is_none() {
            not_priced("waive_start_fee".to_owned(), TariffDimensionType::Flat, findings);
        }
    }
}

/// What it does to the price is neither too much nor nothing.
fn check_reduction(place: String, discount: &Discount, findings: &mut Findings) {
    let dimension = discount.dimension.as_str();
    match discount.by {
        Reduction::Percent(percent)
            if !(Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(&percent) =>
        {
            let message = format!("{percent} % is not from 0 to 100; at 100 {dimension} is free");
            findings.error("percent_out_of_range", place, message);
        }
        Reduction::Percent(percent) if Decimal::ZERO < percent && percent < Decimal::ONE => {
            let meant = "is less than one percent; for ten percent write 10, not 0.10";
            findings.warning("percent_below_one", place, format!("{percent} {meant}"));
        }
        Reduction::Amount(amount) if amount < Decimal::ZERO => {
            let message = format!("{amount} off would be a surcharge; state 0 or more");
            findings.error("negative_amount", place, message);
        }
        Reduction::Price(price) if price < Decimal::ZERO => {
            let message = format!("a price of {price} is below zero; state 0 or more");
            findings.error("negative_price", place, message);
        }
        Reduction::Percent(none) | Reduction::Amount(none) if none.is_zero() => {
            let message = "it takes nothing off; remove the discount".to_owned();
            findings.warning("discount_of_zero", place, message);
        }
        _ => {}
    }
}

/// A discount against the lowest and the highest price on offer.
fn compare(
    place: &str,
    discount: &Discount,
    (lowest, highest): (Decimal, Decimal),
    findings: &mut Findings,
) {
    let place = format!("{place}.by");
    match discount.by {
        Reduction::Amount(amount) if amount > highest => {
            let message = format!(
                "{amount} is more than the highest price, {highest}; to make it free state 100 \
                 percent"
            );
            findings.error("amount_above_price", place, message);
        }
        Reduction::Price(price) if price > lowest => {
            let message = format!(
                "{price} is more than the lowest price on offer, {lowest}; there the plan is \
                 dearer than none"
            );
            findings.warning("price_above_price", place, message);
        }
        _ => {}
    }
}

fn not_priced(place: String, dimension: TariffDimensionType, findings: &mut Findings) {
    let dimension = dimension.as_str();
    let message =
        format!("no tariff on offer has a price for {dimension}; remove it, or offer one");
    findings.warning("not_priced", place, message);
}

/// The lowest and the highest price that is asked for `dimension`, of sessions, not reservations.
fn prices(tariffs: &[&Tariff], dimension: TariffDimensionType) -> Option<(Decimal, Decimal)> {
    let elements = tariffs.iter().flat_map(|tariff| &tariff.elements);
    let of_sessions = elements.filter(|element| {
        element.restrictions.as_ref().is_none_or(|stated| stated.reservation.is_none())
    });
    let components = of_sessions.flat_map(|element| &element.price_components);
    let priced = components.filter(|c| c.dimension == dimension && c.price > Decimal::ZERO);
    priced.map(|component| component.price).fold(None, |range, price| match range {
        None => Some((price, price)),
        Some((lowest, highest)) => Some((price.min(lowest), price.max(highest))),
    })
}
