use proptest::prelude::*;

use super::*;

fn amount(minor: i64, code: &str) -> Amount {
    Amount::new(minor, code.parse().unwrap())
}

#[test]
fn each_currency_is_counted_as_stripe_counts_it() {
    // (currency, our minor units, Stripe's units), with Stripe's own examples.
    let cases = [
        ("USD", 1000, 1000),     // 10 USD
        ("EUR", 1099, 1099),     // 10.99 EUR
        ("HUF", 1045, 1045),     // 10.45 HUF: whole ones are for payouts only
        ("TWD", 80_045, 80_045), // 800.45 TWD: the same
        ("JPY", 500, 500),       // 500 JPY
        ("KRW", 50, 50),         // 50 KRW
        ("ISK", 5, 500),         // 5 ISK
        ("UGX", 5, 500),         // 5 UGX
        ("MGA", 1200, 12),       // 12 MGA, which ISO 4217 counts in hundredths
        ("KWD", 5120, 5120),     // 5.120 KWD
        ("TND", -130, -130),     // -0.130 TND
    ];
    for (code, minor, units) in cases {
        let ours = amount(minor, code);
        assert_eq!(StripeAmount::of(ours), Ok(StripeAmount(units)), "{ours}");
        assert_eq!(StripeAmount(units).exactly(ours.currency), Ok(ours), "{units} {code}");
    }
}

#[test]
fn what_stripe_cannot_move_is_an_error_and_never_rounded() {
    // 5.124 KWD, 12.50 MGA, and a currency that Stripe does not know at all.
    for (minor, code) in [(5124, "KWD"), (1250, "MGA"), (1, "CLF")] {
        let ours = amount(minor, code);
        assert_eq!(StripeAmount::of(ours), Err(AmountError::TooFine(ours)));
        assert!(!charges_exactly(ours.currency), "{code}");
    }
    let currency = "ISK".parse().unwrap();
    let fraction = AmountError::Fraction { units: 575, currency };
    assert_eq!(StripeAmount(575).exactly(currency), Err(fraction));
    assert_eq!(
        StripeAmount::of(amount(i64::MAX, "ISK")),
        Err(AmountError::TooFine(amount(i64::MAX, "ISK")))
    );
}

#[test]
fn a_limit_is_what_can_be_moved_below_it() {
    // 15 % above 5 ISK are 5.75; above 1.010 KWD they are 1.161.
    for (units, code, minor) in [(575, "ISK", 5), (1161, "KWD", 1160), (6909, "EUR", 6909)] {
        let most = StripeAmount(units).at_most(code.parse().unwrap()).unwrap();
        assert_eq!(most, amount(minor, code));
        assert!(StripeAmount::of(most).is_ok());
    }
}

/// All that Stripe takes. <https://docs.stripe.com/currencies#presentment-currencies>
const TAKEN: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BIF BMD BND BOB BRL BSD \
    BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL \
    GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JPY KES KGS KHR KMF KRW KYD KZT LAK \
    LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD \
    PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD STN SZL \
    THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW \
    BHD JOD KWD OMR TND";

#[test]
fn all_but_six_of_stripes_currencies_are_charged_as_they_are_billed() {
    let all = TAKEN.split_whitespace();
    let coarse: Vec<_> = all.filter(|code| !charges_exactly(code.parse().unwrap())).collect();
    assert_eq!(coarse, ["MGA", "BHD", "JOD", "KWD", "OMR", "TND"]);
}

#[test]
fn units_are_read_from_json_and_written_as_parameters() {
    for units in [-5, 0, 12] {
        let read = miniserde::json::from_str::<StripeAmount>(&units.to_string()).unwrap();
        assert_eq!(read, StripeAmount(units));
        assert_eq!(serde_json::to_string(&read).unwrap(), units.to_string());
    }
    assert!(miniserde::json::from_str::<StripeAmount>("1.5").is_err());
    assert!(miniserde::json::from_str::<StripeAmount>("9223372036854775808").is_err());
}

fn taken() -> impl Strategy<Value = Currency> {
    let all: Vec<Currency> = TAKEN.split_whitespace().map(|code| code.parse().unwrap()).collect();
    proptest::sample::select(all)
}

proptest! {
    #[test]
    fn an_amount_goes_there_and_back_or_not_at_all(
        currency in taken(),
        minor in -9_000_000_000_i64..9_000_000_000,
    ) {
        let ours = Amount::new(minor, currency);
        match StripeAmount::of(ours) {
            Ok(theirs) => prop_assert_eq!(theirs.exactly(currency), Ok(ours)),
            Err(error) => {
                prop_assert_eq!(error, AmountError::TooFine(ours));
                prop_assert!(!charges_exactly(currency));
            }
        }
    }

    #[test]
    fn what_stripe_says_is_read_to_the_unit_or_not_at_all(
        currency in taken(),
        units in -9_000_000_000_i64..9_000_000_000,
    ) {
        let theirs = StripeAmount(units);
        if let Ok(ours) = theirs.exactly(currency) {
            // What Stripe says of its own doings may be finer than what it does for us.
            let back = StripeAmount::of(ours);
            prop_assert!(back.is_err() || back == Ok(theirs), "{} {}", units, currency);
        }
        let most = theirs.at_most(currency).unwrap();
        let moved = StripeAmount::of(most).unwrap();
        prop_assert!(moved <= theirs && theirs.0 - moved.0 < Step::of(currency).units);
    }
}
