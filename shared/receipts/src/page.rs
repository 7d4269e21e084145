//! Receipt and credit note as pages: no script, nothing loaded, made to be printed. Everything in
//! them is escaped by maud.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use network::LegalEntity;
use rating::{Line, LineExplanation, TaxTotal};
use session::Route;

use crate::{
    CreditNote, Receipt,
    words::{moment, per, quantity, rate, signature, view_of_tax},
};

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

/// The page of a receipt.
pub(crate) fn receipt(receipt: &Receipt) -> Markup {
    let title = format!("Receipt for charging at {}", receipt.site.name);
    let content = html! {
        header {
            h1 { "Receipt" }
            (address(receipt))
        }
        (facts(receipt))
        (lines(receipt))
        (payment(receipt))
        (credits(receipt))
        (seller(receipt.session.jurisdiction.seller.as_ref()))
    };
    document(&title, &content)
}

/// The page of a credit note.
pub(crate) fn credit_note(note: &CreditNote) -> Markup {
    let credited = &note.credited;
    let content = html! {
        header { h1 { "Credit note " (note.number) } }
        dl {
            dt { "Issued" } dd { (moment(note.issued_at, note.time_zone)) }
            dt { "For receipt" } dd { (note.session_id) }
            dt { "Of" } dd { (moment(note.sold_at, note.time_zone)) }
            dt { "Reason" } dd { (note.reason) }
        }
        div.scroll {
            table {
                thead { tr { th scope="col" { "What" } th.number scope="col" { "Amount" } } }
                tbody {
                    @if note.lines.is_empty() { tr { td { "A part of the whole receipt" } td {} } }
                    @for (position, line) in &note.lines {
                        tr { td { "Line " (position) ": " (line) } td {} }
                    }
                }
                tfoot {
                    tr { td { "Credited without tax" } td.number { (credited.excl_tax) } }
                    @for tax in &credited.taxes {
                        tr {
                            td {
                                (tax.tax.name) " " (tax.tax.percent.percent().normalize()) " % on "
                                (tax.base)
                                @if let Some(number) = &tax.tax.account_number {
                                    small { "No. " (number) }
                                }
                            }
                            td.number { (tax.amount) }
                        }
                    }
                    tr.total { td { "Credited" } td.number { (credited.incl_tax) } }
                }
            }
        }
        (seller(note.seller.as_ref()))
    };
    document(&format!("Credit note {}", note.number), &content)
}

fn document(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (content) } }
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

fn seller(seller: Option<&LegalEntity>) -> Markup {
    html! {
        @if let Some(seller) = seller {
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
    html! {
        section {
            h2 { "Payment" }
            @for sentence in &receipt.paid { p { (sentence) } }
        }
    }
}

fn credits(receipt: &Receipt) -> Markup {
    let zone = receipt.session.time_zone;
    html! {
        @if !receipt.credit_notes.is_empty() {
            section {
                h2 { "Credited since" }
                @for note in &receipt.credit_notes {
                    p {
                        (note.credited.incl_tax) " by credit note " (note.number) " of "
                        (moment(note.issued_at, zone)) ": " (note.reason)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::test_support::{note, receipt};

    #[test]
    fn everything_on_the_page_is_escaped() {
        let mut receipt = receipt();
        receipt.paid = vec!["<script>".to_owned()];
        receipt.credit_notes = vec![note("<script>")];
        let page = receipt.page() + &note("<script>").page();
        assert!(page.contains("Zuid &amp; &lt;script&gt;"), "{page}");
        assert!(page.contains("Energy &lt;b&gt;"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_page_shows_quantity_rate_tax_and_totals() {
        let page = receipt().page();
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
    fn a_credit_note_names_its_receipt_and_its_taxes() {
        let note = note("charger was slow");
        let page = note.page();
        for text in [
            &format!("Credit note {}", note.number),
            &note.session_id.to_string(),
            "charger was slow",
            "VAT 21 % on 1.00 EUR",
            "0.21 EUR",
            "1.21 EUR",
            "Line 2: ParkingTime &lt;b&gt;",
        ] {
            assert!(page.contains(text), "{text} is not on {page}");
        }
    }
}
