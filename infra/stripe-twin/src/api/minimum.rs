//! What can be charged in a currency: how much at least and at most, and in which steps.
//!
//! <https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>. It holds for captures
//! too.

use super::{Answer, ApiError};

/// Eight digits are the most Stripe takes for most currencies.
const MAXIMUM: i64 = 99_999_999;

fn minimum(currency: &str) -> i64 {
    match currency {
        "gbp" => 30,
        "czk" => 1500,
        "dkk" => 250,
        "hkd" => 400,
        "huf" => 17_500,
        "nok" | "sek" => 300,
        "pln" | "ron" | "aed" | "myr" => 200,
        "mxn" | "thb" => 1000,
        _ => 50,
    }
}

/// Amounts are multiples of this: fractions of ISK and UGX cannot be charged, though they are
/// counted in hundredths (<https://docs.stripe.com/currencies#special-cases>), and the last digit
/// of a three-decimal currency must be 0 (<https://docs.stripe.com/currencies#three-decimal>).
fn step(currency: &str) -> i64 {
    match currency {
        "isk" | "ugx" => 100,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 10,
        _ => 1,
    }
}

/// Whether `amount` is one that Stripe moves in `currency`, however little it is.
pub(crate) fn check_step(amount: i64, currency: &str, param: &str) -> Answer<()> {
    let step = step(currency);
    if amount % step == 0 {
        return Ok(());
    }
    let message = format!("Amounts in {currency} must be evenly divisible by {step}.");
    Err(ApiError::invalid(None, Some(param), message))
}

/// Whether `amount` can be charged in `currency`.
pub(crate) fn check(amount: i64, currency: &str, param: &str) -> Answer<()> {
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::invalid(Some("parameter_invalid_integer"), Some(param), message));
    }
    check_step(amount, currency, param)?;
    if amount < minimum(currency) {
        let message = format!("Amount must be at least {} {currency}", minimum(currency));
        return Err(ApiError::invalid(Some("amount_too_small"), Some(param), message));
    }
    if amount > MAXIMUM {
        let message = format!("Amount must be no more than {MAXIMUM} {currency}");
        return Err(ApiError::invalid(Some("amount_too_large"), Some(param), message));
    }
    Ok(())
}

/// Whether this is a currency as parameters spell it: three small letters.
pub(crate) fn check_currency(currency: &str) -> Answer<()> {
    if currency.len() == 3 && currency.chars().all(|c| c.is_ascii_lowercase()) {
        return Ok(());
    }
    let message = format!("Invalid currency: {currency}");
    Err(ApiError::invalid(None, Some("currency"), message))
}
