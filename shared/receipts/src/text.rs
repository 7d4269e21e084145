//! Receipt and credit note as plain text, for e-mail.

use std::fmt::Write as _;

use network::LegalEntity;

use crate::{
    CreditNote, Receipt,
    words::{moment, per, quantity, rate, signature, view_of_tax},
};

/// The text of a receipt.
pub(crate) fn receipt(receipt: &Receipt) -> String {
    let Receipt { session, site, price, .. } = receipt;
    let (zone, with_tax) = (session.time_zone, session.jurisdiction.prices_include_tax);
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(format!("Receipt for charging at {}", site.name));
    let postal_code = site.address.postal_code.as_deref().unwrap_or_default();
    let place = format!("{postal_code} {}, {}", site.address.city, site.address.country);
    say(format!("{}, {}", site.address.street, place.trim_start()));
    say(String::new());
    say(format!("Session:  {}", session.id));
    say(format!("Charger:  {}, connector {}", session.charge_point_id, session.connector_id));
    say(format!("Started:  {}", moment(session.started_at, zone)));
    if let Some(ended_at) = session.ended_at {
        say(format!("Ended:    {}", moment(ended_at, zone)));
    }
    if let Some(released_at) = session.released_at {
        say(format!("Free:     {}", moment(released_at, zone)));
    }
    say(format!("Energy:   {}", price.total_energy));
    if let Some(meter_stop) = session.meter_stop {
        say(format!("Meter:    {} to {meter_stop}", session.meter_start));
    }
    if let Some(signed) = &price.signed {
        say(format!("Signed:   {}", signature(signed.verification)));
    }
    say(format!("Tariff:   {}, version {}", price.tariff.id, price.tariff.version));
    if let Some(plan) = &price.plan {
        say(format!("Plan:     {}, version {}", plan.reference.id, plan.reference.version));
    }
    say(String::new());
    for (position, line) in price.lines.iter().enumerate() {
        let amount = if with_tax { line.amount.incl_vat } else { line.amount.excl_vat };
        let (quantity, rate) = (quantity(line.quantity, line.unit), rate(line.rate));
        let (currency, per) = (price.currency, per(line.rate_unit));
        let position = position + 1;
        let (of_rate, of_amount) = views_of_tax(price.rates_include_tax, with_tax);
        let what = &line.description;
        let what = format!("{position}. {what}: {quantity} at {rate} {currency}{per}{of_rate}");
        say(format!("{what}: {amount}{of_amount}"));
    }
    say(String::new());
    say(format!("Total without tax: {}", price.net()));
    for tax in &price.taxes {
        let percent = tax.percent.percent().normalize();
        let number = tax.account_number.as_ref().map(|number| format!(", No. {number}"));
        let number = number.unwrap_or_default();
        say(format!("{} {percent} % on {}: {}{number}", tax.name, tax.base, tax.amount));
    }
    say(format!("Total: {}", price.gross()));
    say(String::new());
    receipt.paid.iter().for_each(|sentence| say(sentence.clone()));
    for note in &receipt.credit_notes {
        let at = moment(note.issued_at, zone);
        say(format!("Credited by {} of {at}: {}", note.number, note.credited.incl_tax));
    }
    text + &seller(session.jurisdiction.seller.as_ref())
}

/// What is said of tax beside a line's rate and its amount: nothing where both are alike.
fn views_of_tax(rate: bool, amount: bool) -> (String, String) {
    if rate == amount {
        return (String::new(), String::new());
    }
    (format!(" {}", view_of_tax(rate)), format!(" {}", view_of_tax(amount)))
}

/// The text of a credit note.
pub(crate) fn credit_note(note: &CreditNote) -> String {
    let mut text = format!(
        "Credit note {}\n\nIssued:       {}\nFor receipt:  {}\nOf:           {}\nReason:       {}\n\n",
        note.number,
        moment(note.issued_at, note.time_zone),
        note.session_id,
        moment(note.sold_at, note.time_zone),
        note.reason,
    );
    for (position, line) in &note.lines {
        let _ = writeln!(text, "Line {position}: {line}");
    }
    let _ = writeln!(text, "Credited without tax: {}", note.credited.excl_tax);
    for tax in &note.credited.taxes {
        let percent = tax.tax.percent.percent().normalize();
        let _ = writeln!(text, "{} {percent} % on {}: {}", tax.tax.name, tax.base, tax.amount);
    }
    let _ = writeln!(text, "Credited: {}", note.credited.incl_tax);
    text + &seller(note.seller.as_ref())
}

fn seller(seller: Option<&LegalEntity>) -> String {
    let Some(seller) = seller else { return String::new() };
    let number = seller.company_number.as_ref().map(|number| format!("No. {number}\n"));
    format!("\nSold by\n{}\n{}\n{}", seller.name, seller.address, number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::test_support::{note, receipt};

    #[test]
    fn the_text_of_a_receipt_says_what_its_page_says() {
        let text = receipt().text();
        for part in [
            "Receipt for charging at Zuid & <script>",
            "1. Energy <b>: 10.5 kWh at 0.40 EUR/kWh: 4.20 EUR",
            "VAT 21 % on 5.20 EUR: 1.09 EUR",
            "Total: 6.79 EUR",
            "Started:  2026-03-01 13:00:00 CET",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_rate_without_tax_beside_an_amount_with_tax_says_so() {
        let mut receipt = receipt();
        receipt.session.jurisdiction.prices_include_tax = true;
        let text = receipt.text();
        let line = "10.5 kWh at 0.40 EUR/kWh without tax: 5.08 EUR with tax";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn the_text_of_a_credit_note_has_its_number_receipt_and_taxes() {
        let note = note("too slow");
        let text = note.text();
        assert!(text.contains(&format!("Credit note {}", note.number)), "{text}");
        for part in ["Line 2: ", "VAT 21 % on 1.00 EUR: 0.21 EUR"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.contains("Credited: 1.21 EUR"), "{text}");
    }
}
