//! What is wrong with a plan or a schedule before it is published.

use serde::{Deserialize, Serialize};

/// Something about a plan or a schedule that its publisher should know.
///
/// | of a plan | |
/// | --- | --- |
/// | `no_name` | error: the receipt would show nothing |
/// | `changes_nothing` | warning |
/// | `cap_of_zero` | error: a cap of nothing, or less |
/// | `currency_mismatch` | error: of the cap, or of a site that is named; warning: of some site |
/// | `discount_twice`, `allowance_twice` | error: two of one dimension |
/// | `waived_already` | warning: a discount on a start fee that is waived |
/// | `percent_out_of_range` | error: not 0 to 100 % |
/// | `percent_below_one` | warning: a fraction, where percent are asked |
/// | `negative_amount`, `negative_price` | error |
/// | `discount_of_zero` | warning |
/// | `allowance_of_zero` | error: nothing, or less |
/// | `allowance_of_starts` | error: `FLAT` has no quantity |
/// | `unknown_site`, `unknown_group` | error |
/// | `price_not_allowed` | error: a price per kWh or by time where the law forbids it |
/// | `no_tariff` | error: no tariff on offer is in the plan's currency |
/// | `not_priced` | warning: of a dimension that no tariff on offer prices |
/// | `amount_above_price` | error: an amount off that no price on offer reaches |
/// | `price_above_price` | warning: a fixed price that is dearer than one on offer |
///
/// | of a schedule | |
/// | --- | --- |
/// | `season_boundary` | error: a rule that does not give one day of every year |
/// | `season_gap`, `season_overlap`, `no_season` | error: a day in no season, or in two |
/// | `day_without_prices`, `day_twice` | error: a kind of day without prices, or with two sets |
/// | `period_gap`, `period_overlap`, `empty_period` | error: hours without a price, or with two |
/// | `negative_price`, `price`, `too_many_digits` | error: no price that could be asked |
/// | `too_many_decimals` | error |
/// | `prices_rounded_together` | warning: the margin's decimals hide a difference |
/// | `holiday_without_date` | error: a rule that gives no date in any year |
/// | `no_holiday` | warning: prices for holidays, but no holidays |
/// | `span`, `holiday_not_in_span` | error: dates that cannot be compiled, or are not known yet |
/// | `time_zone_mismatch` | error: the site's clocks are others |
/// | `energy_twice` | error: the tariff around it prices ENERGY too |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Whether it refuses publication.
    pub severity: Severity,
    /// Stable code.
    pub code: String,
    /// The field it is about, `discounts[0].by`; empty when it is about the whole.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// How bad a finding about a plan, a schedule or a tariff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is accepted.
    Warning,
}

/// Findings as they are made.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn error(&mut self, code: &str, place: impl Into<String>, message: String) {
        self.add(Severity::Error, code, place.into(), message);
    }

    pub(crate) fn warning(&mut self, code: &str, place: impl Into<String>, message: String) {
        self.add(Severity::Warning, code, place.into(), message);
    }

    fn add(&mut self, severity: Severity, code: &str, place: String, message: String) {
        self.0.push(Finding { severity, code: code.to_owned(), place, message });
    }

    pub(crate) fn into_list(self) -> Vec<Finding> {
        self.0
    }
}
