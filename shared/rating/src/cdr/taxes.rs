//! The taxes of a CDR's prices, each by its name.

use ocpi::v2_3_0::{TaxAmount, Taxes};
use quantities::{Amount, MoneyError};

use crate::{Cost, Line, PricedSession, TaxTotal, Totals};

/// What OCPI 2.3.0 says about the taxes in each price of the CDR that [`super::build`] makes of
/// `priced`. They add up to the difference of its prices with and without tax.
///
/// # Errors
///
/// [`MoneyError::Overflow`].
pub fn taxes(priced: &PricedSession) -> Result<Taxes, MoneyError> {
    let mut taxes = Taxes::default();
    for (index, tax) in priced.taxes.iter().enumerate() {
        let sums = sums(priced, index)?;
        let groups = [
            (&mut taxes.total, sums.total),
            (&mut taxes.fixed, sums.fixed),
            (&mut taxes.energy, sums.energy),
            (&mut taxes.time, sums.time),
            (&mut taxes.parking, sums.parking),
            (&mut taxes.reservation, sums.reservation),
        ];
        for (named, sum) in groups {
            // A tax of 0 % is named where it applies.
            if !sum.excl_vat.is_zero() {
                named.push(named_amount(tax, sum.incl_vat));
            }
        }
    }
    Ok(taxes)
}

/// The sums of one tax: in `incl_vat` how much of it is due, in `excl_vat` on how many lines.
fn sums(priced: &PricedSession, tax: usize) -> Result<Totals, MoneyError> {
    let part = |line: &Line| -> Result<Line, MoneyError> {
        let mut cost = Cost::zero(priced.currency);
        for due in line.taxes.iter().filter(|due| due.tax == tax) {
            let one = Cost { excl_vat: Amount::new(1, priced.currency), incl_vat: due.amount };
            cost = cost.checked_add(one)?;
        }
        Ok(Line { amount: cost, ..line.clone() })
    };
    let parts: Vec<_> = priced.lines.iter().map(part).collect::<Result<_, _>>()?;
    Totals::of(&parts, priced.currency)
}

fn named_amount(tax: &TaxTotal, due: Amount) -> TaxAmount {
    TaxAmount {
        name: tax.name.clone().into_owned(),
        account_number: tax.account_number.clone(),
        percentage: Some(tax.percent.percent()),
        amount: due.to_money().value,
    }
}
