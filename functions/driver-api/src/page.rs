//! The receipt as a page: no script, nothing loaded, made to be printed. Everything in it is
//! escaped by maud.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use rating::{Line, LineExplanation, TaxTotal, Unit};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use session::{Route, Verification};

use crate::receipt::Receipt;

const STYLE: &str = "
  :root { color-scheme: light; }
  body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #f2f3f5; margin: 0; }
  main { max-width: 46rem; margin: 2rem auto; padding: 2.5rem; background: #fff;
         border-radius: 8px; box-shadow: 0 1px 4px rgba(0, 0, 0, .12); }
  h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
  h2 { font-size: 1rem; margin: 2rem 0 .5rem; }
  address { font-style: normal; color: #555; }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.5rem;
       margin: 1.5rem 0; }
  dt { color: #555; }
  dd { margin: 0; overflow-wrap: anywhere; }
  table { border-collapse: collapse; width: 100%; }
  th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0;
           border-bottom: 1px solid #e1e3e6; }
  th { font-weight: 600; color: #555; }
  .number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
  td.number:last-child, th.number:last-child { padding-right: 0; }
  td small { display: block; color: #666; }
  tfoot td { border-bottom: 0; padding-top: .2rem; padding-bottom: .2rem; }
  tfoot tr:first-child td { padding-top: .8rem; }
  .total td { font-weight: 700; font-size: 1.1rem; }
  .scroll { overflow-x: auto; }
  @media print {
    @page { margin: 18mm; }
    body { background: #fff; font-size: 10.5pt; }
    main { max-width: none; margin: 0; padding: 0; box-shadow: none; }
    tr, dl, section { break-inside: avoid; }
    thead { display: table-header-group; }
  }
";

/// The page of `receipt`.
pub(crate) fn page(receipt: &Receipt) -> Markup {
    let title = format!("Receipt for charging at {}", receipt.site.name);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { "Receipt" }
                        (address(receipt))
                    }
                    (facts(receipt))
                    (lines(receipt))
                    (payment(receipt))
                    (seller(receipt))
                }
            }
        }
    }
}

fn address(receipt: &Receipt) -> Markup {
    let site = &receipt.site;
    html! {
        address {
            strong { (site.name) } br;
            (site.address.street) br;
            @if let Some(postal_code) = &site.address.postal_code { (postal_code) " " }
            (site.address.city) ", " (site.address.country)
        }
    }
}

fn facts(receipt: &Receipt) -> Markup {
    let session = &receipt.session;
    let zone = session.time_zone;
    html! {
        dl {
            dt { "Session" } dd { (session.id) }
            dt { "Charger" } dd { (session.charge_point_id) ", connector " (session.connector_id) }
            dt { "Started" } dd { (moment(session.started_at, zone)) }
            @if let Some(ended_at) = session.ended_at {
                dt { "Ended" } dd { (moment(ended_at, zone)) }
            }
            @if let Some(released_at) = session.released_at {
                dt { "Connector free" } dd { (moment(released_at, zone)) }
            }
            dt { "Energy" } dd { (receipt.price.total_energy) }
            dt { "Meter" }
            dd {
                (session.meter_start)
                @if let Some(meter_stop) = session.meter_stop { " to " (meter_stop) }
            }
            @if let Some(signed) = &receipt.price.signed {
                dt { "Signed by the meter" }
                dd { (signature(signed.verification)) }
            }
            dt { "Paid" } dd { (way(session.route)) }
            dt { "Tariff" }
            dd {
                (receipt.price.tariff.id) ", version " (receipt.price.tariff.version)
                ", as " (session.tier.as_str())
            }
            @if let Some(plan) = &receipt.price.plan {
                dt { "Plan" }
                dd { (plan.reference.id) ", version " (plan.reference.version) }
            }
        }
    }
}

/// A route in words.
const fn way(route: Route) -> &'static str {
    match route {
        Route::AppWallet => "from the app",
        Route::SavedCard => "with the card on file",
        Route::Reader => "with the card at the reader",
        Route::Fleet => "by the fleet's account",
        Route::Contract => "by contract, on invoice",
        Route::Roaming => "by your charging provider",
        Route::Free => "free of charge",
        Route::None => "by nobody yet",
    }
}

fn lines(receipt: &Receipt) -> Markup {
    let price = &receipt.price;
    let with_tax = receipt.session.jurisdiction.prices_include_tax;
    let explained = price.explain(receipt.session.time_zone).lines;
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th scope="col" { "What" }
                        th.number scope="col" { "Quantity" }
                        th.number scope="col" { "Rate " (view_of_tax(price.rates_include_tax)) }
                        th.number scope="col" { "Tax" }
                        th.number scope="col" { "Amount " (view_of_tax(with_tax)) }
                    }
                }
                tbody {
                    @for (line, why) in price.lines.iter().zip(&explained) {
                        (row(line, why, receipt))
                    }
                }
                tfoot {
                    @if with_tax {
                        tr.total { td colspan="4" { "Total" } td.number { (price.gross()) } }
                        @for sum in &price.taxes { (tax(sum, "of which ")) }
                    } @else {
                        tr { td colspan="4" { "Total without tax" } td.number { (price.net()) } }
                        @for sum in &price.taxes { (tax(sum, "")) }
                        tr.total { td colspan="4" { "Total" } td.number { (price.gross()) } }
                    }
                }
            }
        }
    }
}

const fn view_of_tax(is_included: bool) -> &'static str {
    if is_included { "with tax" } else { "without tax" }
}

fn row(line: &Line, why: &LineExplanation, receipt: &Receipt) -> Markup {
    let (price, zone) = (&receipt.price, receipt.session.time_zone);
    let with_tax = receipt.session.jurisdiction.prices_include_tax;
    let amount = if with_tax { line.amount.incl_vat } else { line.amount.excl_vat };
    html! {
        tr {
            td {
                (line.description)
                small { (moment(line.from, zone)) " to " (moment(line.to, zone)) }
                small { (why.reason) }
            }
            td.number { (quantity(line.quantity, line.unit)) }
            td.number { (rate(line.rate)) " " (price.currency) (per(line.rate_unit)) }
            td.number {
                @match price.tax_percent(line) {
                    Some(percent) => { (percent.normalize()) " %" }
                    None => { "–" }
                }
            }
            td.number { (amount) }
        }
    }
}

fn tax(sum: &TaxTotal, before: &str) -> Markup {
    html! {
        tr {
            td colspan="4" {
                (before) (sum.name) " " (sum.percent.percent().normalize()) " % on " (sum.base)
                @if let Some(number) = &sum.account_number { small { "No. " (number) } }
            }
            td.number { (sum.amount) }
        }
    }
}

fn seller(receipt: &Receipt) -> Markup {
    html! {
        @if let Some(seller) = &receipt.session.jurisdiction.seller {
            section {
                h2 { "Sold by" }
                p {
                    (seller.name) br;
                    (seller.address)
                    @if let Some(number) = &seller.company_number { br; "No. " (number) }
                }
            }
        }
    }
}

fn payment(receipt: &Receipt) -> Markup {
    let payment = &receipt.payment;
    html! {
        section {
            h2 { "Payment" }
            p { (payment.message) }
            @if let Some(refusal) = &payment.refusal { p { (refusal.message) } }
        }
    }
}

const fn signature(verification: Verification) -> &'static str {
    match verification {
        Verification::Verified => "yes, and the signature is good",
        Verification::OwnKey => "yes, unchanged; whose key it is was not checked",
        Verification::KeyUnknown => "yes; the meter's key is not known here",
        Verification::Unchecked => "yes; the signature could not be checked here",
        Verification::Invalid => "yes, but the signature is not good",
    }
}

fn moment(at: DateTime<Utc>, zone: Tz) -> String {
    at.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn quantity(quantity: Decimal, unit: Unit) -> String {
    match unit {
        Unit::KilowattHour => format!("{} kWh", quantity.normalize()),
        Unit::Hour => format!("{} h", quantity.normalize()),
        Unit::Second => duration(quantity),
        Unit::Session => quantity.normalize().to_string(),
    }
}

fn duration(seconds: Decimal) -> String {
    let whole = seconds.trunc().to_u64().filter(|_| seconds.fract().is_zero());
    let Some(whole) = whole else { return format!("{} s", seconds.normalize()) };
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    let parts = [(hours, "h"), (minutes, "min"), (seconds, "s")];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number} {unit}"))
        .collect();
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

/// The most decimals of a rate in words. One that is computed, such as a price without the tax that
/// was in it, may have 28; amounts are always computed from the exact one.
const RATE_DECIMALS: u32 = 6;

/// A rate to be read: to six decimals.
pub(crate) fn short_rate(rate: Decimal) -> Decimal {
    rate.round_dp(RATE_DECIMALS).normalize()
}

/// A rate with at least the two decimals that people expect of money, and at most six.
fn rate(rate: Decimal) -> String {
    let mut rate = short_rate(rate);
    if rate.scale() < 2 {
        rate.rescale(2);
    }
    rate.to_string()
}

const fn per(unit: Unit) -> &'static str {
    match unit {
        Unit::KilowattHour => "/kWh",
        Unit::Second => "/s",
        Unit::Hour => "/h",
        Unit::Session => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receipt::tests::receipt;

    #[test]
    fn everything_on_the_page_is_escaped() {
        let page = page(&receipt()).into_string();
        assert!(page.contains("Zuid &amp; &lt;script&gt;"), "{page}");
        assert!(page.contains("Energy &lt;b&gt;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_page_shows_quantity_rate_tax_and_totals() {
        let page = page(&receipt()).into_string();
        for text in [
            "10.5 kWh",
            "0.40 EUR/kWh",
            "1 h 5 min",
            "VAT 21 % on 5.20 EUR",
            "1.09 EUR",
            "6.79 EUR",
            "2026-03-01 13:00:00 CET",
            "AMS-RETAIL, version 3",
        ] {
            assert!(page.contains(text), "{text} is not on {page}");
        }
    }

    #[test]
    fn a_rate_has_two_to_six_decimals() {
        let words = |number: &str| rate(number.parse().unwrap());
        assert_eq!(words("-2.6666666666666666666666666667"), "-2.666667");
        assert_eq!(words("0.4132231404958677685950413223"), "0.413223");
        assert_eq!(words("0.4"), "0.40");
        assert_eq!(words("0.0001000"), "0.0001");
    }

    #[test]
    fn a_time_is_written_as_people_say_it() {
        let words = |seconds: &str| duration(seconds.parse().unwrap());
        assert_eq!(words("3905"), "1 h 5 min 5 s");
        assert_eq!(words("3600"), "1 h");
        assert_eq!(words("0"), "0 s");
        assert_eq!(words("12.5"), "12.5 s");
    }
}
