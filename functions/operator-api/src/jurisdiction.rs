//! What law says about selling at a site: what may be sold how, taxes, rounding, who sells.

use http_api::Check;
use network::{Jurisdiction, LegalEntity, Tax};
use quantities::{Rounding, RoundingMode, RoundingScope, TaxPercent};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What law says about selling at a site.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Jurisdiction)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(crate) struct JurisdictionBody {
    /// Whether energy may be sold per kWh.
    per_kwh_allowed: bool,
    /// Whether charging may be sold by time.
    #[serde(default = "yes")]
    per_time_allowed: bool,
    /// Whether the site is under Regulation (EU) 2023/1804 (AFIR).
    #[serde(default)]
    afir: bool,
    /// The taxes where a price component does not state its own: all at once, each on the price
    /// before taxes. A VAT is a list of one.
    pub(crate) taxes: Vec<TaxBody>,
    /// Whether prices are shown to drivers with tax.
    #[serde(default)]
    prices_include_tax: bool,
    /// How amounts are rounded.
    #[serde(default)]
    rounding: RoundingBody,
    /// Who sells here, and owes the taxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seller: Option<SellerBody>,
}

const fn yes() -> bool {
    true
}

/// A tax on the sale.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Tax)]
pub(crate) struct TaxBody {
    /// What the receipt calls it.
    #[schema(example = "VAT")]
    name: String,
    /// Percent, 0 to 100.
    #[schema(example = "19")]
    pub(crate) percent: Decimal,
    /// The seller's account with the authority that it is paid to, as the receipt shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "123456789 RT0001")]
    account_number: Option<String>,
}

/// Who sells, and owes the taxes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LegalEntity)]
struct SellerBody {
    /// Its name as registered.
    name: String,
    /// Its address, in one line.
    address: String,
    /// Its number in the register of companies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    company_number: Option<String>,
}

/// How amounts are rounded to the currency's minor unit.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rounding)]
struct RoundingBody {
    /// Which way.
    #[serde(default)]
    mode: ModeBody,
    /// What.
    #[serde(default)]
    scope: ScopeBody,
}

/// Which way an amount between two minor units goes.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoundingMode)]
enum ModeBody {
    /// To the nearest; a tie away from zero.
    #[default]
    HalfUp,
    /// To the nearest; a tie to the even one.
    HalfEven,
    /// Towards zero.
    Down,
}

/// What is rounded.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RoundingScope)]
enum ScopeBody {
    /// The total, once; the lines share it out.
    #[default]
    Total,
    /// Every line; the total is their sum.
    Line,
}

impl From<Jurisdiction> for JurisdictionBody {
    fn from(law: Jurisdiction) -> Self {
        let tax = |tax: Tax| TaxBody {
            name: tax.name,
            percent: tax.percent.percent(),
            account_number: tax.account_number,
        };
        let seller = |seller: LegalEntity| SellerBody {
            name: seller.name,
            address: seller.address,
            company_number: seller.company_number,
        };
        let mode = match law.rounding.mode {
            RoundingMode::HalfUp => ModeBody::HalfUp,
            RoundingMode::HalfEven => ModeBody::HalfEven,
            RoundingMode::Down => ModeBody::Down,
        };
        let scope = match law.rounding.scope {
            RoundingScope::Total => ScopeBody::Total,
            RoundingScope::Line => ScopeBody::Line,
        };
        Self {
            per_kwh_allowed: law.per_kwh_allowed,
            per_time_allowed: law.per_time_allowed,
            afir: law.afir,
            taxes: law.taxes.into_iter().map(tax).collect(),
            prices_include_tax: law.prices_include_tax,
            rounding: RoundingBody { mode, scope },
            seller: law.seller.map(seller),
        }
    }
}

/// Reads what is below `/jurisdiction`.
pub(crate) fn read(check: &mut Check, body: &JurisdictionBody) -> Option<Jurisdiction> {
    let taxes: Vec<_> =
        body.taxes.iter().enumerate().map(|(index, body)| tax(check, index, body)).collect();
    let seller = body.seller.as_ref().map(|body| seller(check, body));
    let mode = match body.rounding.mode {
        ModeBody::HalfUp => RoundingMode::HalfUp,
        ModeBody::HalfEven => RoundingMode::HalfEven,
        ModeBody::Down => RoundingMode::Down,
    };
    let scope = match body.rounding.scope {
        ScopeBody::Total => RoundingScope::Total,
        ScopeBody::Line => RoundingScope::Line,
    };
    Some(Jurisdiction {
        per_kwh_allowed: body.per_kwh_allowed,
        per_time_allowed: body.per_time_allowed,
        afir: body.afir,
        taxes: taxes.into_iter().collect::<Option<_>>()?,
        prices_include_tax: body.prices_include_tax,
        rounding: Rounding { mode, scope },
        seller: match seller {
            Some(seller) => Some(seller?),
            None => None,
        },
    })
}

fn tax(check: &mut Check, index: usize, body: &TaxBody) -> Option<Tax> {
    let at = format!("/jurisdiction/taxes/{index}");
    let name = check.text(&format!("{at}/name"), &body.name, 40);
    let percent = check.value(&format!("{at}/percent"), TaxPercent::try_from(body.percent));
    let number = body.account_number.as_deref();
    let number = number.map(|text| check.text(&format!("{at}/account_number"), text, 40));
    Some(Tax { name: name?, percent: percent?, account_number: number.flatten() })
}

fn seller(check: &mut Check, body: &SellerBody) -> Option<LegalEntity> {
    let name = check.text("/jurisdiction/seller/name", &body.name, 100);
    let address = check.text("/jurisdiction/seller/address", &body.address, 200);
    let number = body.company_number.as_deref();
    let number = number.map(|text| check.text("/jurisdiction/seller/company_number", text, 40));
    Some(LegalEntity { name: name?, address: address?, company_number: number.flatten() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_jurisdiction_reads_back_as_it_was_put() {
        let body = json!({
            "per_kwh_allowed": true, "per_time_allowed": false, "afir": false,
            "taxes": [
                { "name": "GST", "percent": "5", "account_number": "123456789 RT0001" },
                { "name": "QST", "percent": "9.975" },
            ],
            "prices_include_tax": true,
            "rounding": { "mode": "half_even", "scope": "line" },
            "seller": { "name": "Tallywatt inc.", "address": "1 rue de la Paix, Montréal" },
        });
        let mut check = Check::default();
        let law = read(&mut check, &serde_json::from_value(body.clone()).unwrap());
        let law = check.finish(|| law).unwrap();
        assert_eq!(law.taxes.len(), 2);
        let back: Value = serde_json::to_value(JurisdictionBody::from(law)).unwrap();
        assert_eq!(back, body);
    }
}
