//! What is wrong with a tariff before it is published.
//!
//! An error refuses: the tariff cannot be priced, contradicts itself, is no OCPI, or is not lawful
//! where it is to be sold. A warning informs: the tariff is priced as it is written, but perhaps
//! that is not what was meant. Every finding names the element (and the component, both counted
//! from 0 as in the JSON) and says what to do.
//!
//! The parts: `schema` is what OCPI asks of the object, `limits` what a restriction says by itself,
//! `reach` and `tell` what elements say together, `law` and `afir` what the site's jurisdiction
//! allows, `tax` what is said of taxes, `plausible` what is possible but strange, `terms` what is
//! said beside the tariff.

mod afir;
mod cover;
mod law;
mod limits;
mod plausible;
mod reach;
mod schema;
mod space;
mod tax;
mod tell;
mod terms;
mod words;

#[cfg(test)]
mod test_cover;

use chrono_tz::Tz;
use network::{Charger, Jurisdiction, Site};
use ocpi::Tariff;
pub use plans::Severity;
use quantities::Currency;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{TariffVersion, compile::Compiled};

/// Something about a tariff that its publisher should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TariffFinding {
    /// Whether it refuses publication.
    pub severity: Severity,
    /// Index of the element it is about; none when it is about the whole tariff.
    pub element: Option<usize>,
    /// Index of the price component in that element, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<usize>,
    /// Stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Where a tariff is to be sold, as far as that is known when it is looked at.
///
/// A tariff is looked at twice: when it is published ([`Place::anywhere`]) and when it is put on
/// offer at a site ([`Place::at`], and [`Place::with_chargers`] for how strong they are).
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// What may be sold there and how it is taxed; none: not asked.
    pub jurisdiction: Option<&'a Jurisdiction>,
    /// What prices must be in; none: the tariff's own currency will do.
    pub currency: Option<Currency>,
    /// Whose local time it is. Without it, a validity in UTC is taken to reach a day further.
    pub zone: Option<Tz>,
    /// Power in kW of the strongest charger there whose power is known.
    pub known_power_kw: Option<Decimal>,
    /// The power in kW that no charger there exceeds, where all are known.
    pub max_power_kw: Option<Decimal>,
}

impl<'a> Place<'a> {
    /// Nowhere in particular: only what is wrong everywhere is looked for.
    #[must_use]
    pub const fn anywhere() -> Self {
        Self {
            jurisdiction: None,
            currency: None,
            zone: None,
            known_power_kw: None,
            max_power_kw: None,
        }
    }

    /// `site`.
    #[must_use]
    pub const fn at(site: &'a Site) -> Self {
        Self {
            jurisdiction: Some(&site.jurisdiction),
            currency: Some(site.currency),
            zone: Some(site.time_zone),
            known_power_kw: None,
            max_power_kw: None,
        }
    }

    /// The same with `chargers`. One of unknown power may be stronger than all others.
    #[must_use]
    pub fn with_chargers(self, chargers: &[Charger]) -> Self {
        let watts = || chargers.iter().filter_map(|charger| charger.max_electric_power);
        let known_power_kw = watts().max().map(|watts| Decimal::new(i64::from(watts), 3));
        let max_power_kw = known_power_kw.filter(|_| watts().count() == chargers.len());
        Self { known_power_kw, max_power_kw, ..self }
    }
}

impl TariffVersion {
    /// Everything that is wrong with it at `place`, errors and warnings, in the order of its
    /// elements; what is about the whole tariff comes first.
    #[must_use]
    pub fn validate(&self, place: &Place) -> Vec<TariffFinding> {
        let mut findings = Findings::default();
        let tariff = &self.tariff;
        schema::check(tariff, &mut findings);
        limits::check(tariff, place, &mut findings);
        tax::check(tariff, place, &mut findings);
        plausible::check(tariff, &mut findings);
        terms::check(self, &mut findings);
        law::check(tariff, place, &mut findings);
        together(tariff, place, &mut findings);
        findings.into_sorted()
    }
}

/// What elements say together; what the checks before do not name, pricing itself would refuse.
fn together(tariff: &Tariff, place: &Place, findings: &mut Findings) {
    match Compiled::new(tariff) {
        Ok(compiled) => tell::check(tariff, &compiled, place, findings),
        Err(_) if findings.has_error() => {}
        Err(refusal) => findings.error(At::Tariff, "not_priceable", refusal.to_string()),
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Tariff,
    Element(usize),
    Component(usize, usize),
}

/// Findings in the making.
#[derive(Debug, Default)]
struct Findings(Vec<TariffFinding>);

impl Findings {
    fn error(&mut self, at: At, code: &str, message: impl Into<String>) {
        self.add(Severity::Error, at, code, message.into());
    }

    fn warning(&mut self, at: At, code: &str, message: impl Into<String>) {
        self.add(Severity::Warning, at, code, message.into());
    }

    fn add(&mut self, severity: Severity, at: At, code: &str, message: String) {
        let (element, component) = match at {
            At::Tariff => (None, None),
            At::Element(element) => (Some(element), None),
            At::Component(element, component) => (Some(element), Some(component)),
        };
        self.0.push(TariffFinding { severity, element, component, code: code.to_owned(), message });
    }

    fn has_error(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn into_sorted(mut self) -> Vec<TariffFinding> {
        self.0.sort_by_key(|finding| (finding.element, finding.component));
        self.0
    }
}
