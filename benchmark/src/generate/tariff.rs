//! Random tariffs whose restrictions matter for a given session.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use ocpi::{
    Cdr, DayOfWeek, Price, PriceComponent, ReservationRestrictionType, Tariff, TariffDimensionType,
    TariffElement, TariffRestrictions,
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use rust_decimal::Decimal;

use super::{
    Quirk,
    course::{Course, TICK_S},
};

const DIMENSIONS: [TariffDimensionType; 4] = [
    TariffDimensionType::Energy,
    TariffDimensionType::Time,
    TariffDimensionType::ParkingTime,
    TariffDimensionType::Flat,
];

const DAYS: [DayOfWeek; 7] = [
    DayOfWeek::Monday,
    DayOfWeek::Tuesday,
    DayOfWeek::Wednesday,
    DayOfWeek::Thursday,
    DayOfWeek::Friday,
    DayOfWeek::Saturday,
    DayOfWeek::Sunday,
];

/// A tariff of up to six elements.
pub(super) fn random(
    random: &mut StdRng,
    course: &Course,
    zone: Tz,
    quirks: &BTreeSet<Quirk>,
) -> Tariff {
    let mut maker = Maker { random, course, zone, quirks };
    let mut elements: Vec<_> =
        (0..maker.random.random_range(0..5)).map(|_| maker.element()).collect();
    if elements.is_empty() || maker.random.random_bool(0.6) {
        elements.push(TariffElement { price_components: maker.components(), restrictions: None });
    }
    if quirks.contains(&Quirk::Reservation) {
        elements.insert(0, maker.reservation(ReservationRestrictionType::Reservation));
        elements.push(maker.reservation(ReservationRestrictionType::ReservationExpires));
    }
    let mut tariff = empty();
    tariff.elements = elements;
    maker.currency().clone_into(&mut tariff.currency);
    tariff.min_price = maker.limit(20);
    tariff.max_price = maker.limit(120);
    if quirks.contains(&Quirk::NotValid) {
        tariff.end_date_time = Some(course.start - Duration::days(1));
    } else if maker.random.random_bool(0.2) {
        tariff.start_date_time = Some(course.start - Duration::days(1));
        tariff.end_date_time = Some(course.start + Duration::seconds(TICK_S));
    }
    tariff
}

/// A tariff that says nothing yet.
pub fn empty() -> Tariff {
    Tariff {
        country_code: "NL".to_owned(),
        party_id: "TWT".to_owned(),
        id: "T1".to_owned(),
        ..read(
            r#"{"currency":"EUR","elements":[{"price_components":[{"type":"FLAT","price":0}]}]}"#,
            ocpi::read::tariff,
        )
    }
}

/// A CDR that says nothing yet.
pub fn empty_cdr() -> Cdr {
    Cdr {
        country_code: "NL".to_owned(),
        party_id: "TWT".to_owned(),
        id: "C1".to_owned(),
        ..read(
            r#"{"start_date_time":"2026-03-28T12:00:00Z","end_date_time":"2026-03-28T12:00:00Z",
                "currency":"EUR","charging_periods":[
                    {"start_date_time":"2026-03-28T12:00:00Z","dimensions":[]}]}"#,
            ocpi::read::cdr,
        )
    }
}

#[expect(clippy::expect_used, reason = "the text is a constant; what is wrong with it is a bug")]
fn read<T, E: std::fmt::Debug>(text: &str, with: impl Fn(&str) -> Result<T, E>) -> T {
    with(text).expect("a template that can be read")
}

struct Maker<'a> {
    random: &'a mut StdRng,
    course: &'a Course,
    zone: Tz,
    quirks: &'a BTreeSet<Quirk>,
}

impl Maker<'_> {
    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    fn one_of<T: Copy>(&mut self, values: &[T], otherwise: T) -> T {
        values.choose(self.random).copied().unwrap_or(otherwise)
    }

    /// A value, now and then.
    fn maybe<T>(&mut self, probability: f64, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.random.random_bool(probability).then(|| value(self))
    }

    /// Currencies with two, no and three decimals.
    fn currency(&mut self) -> &'static str {
        self.one_of(&["EUR", "EUR", "EUR", "EUR", "USD", "JPY", "KWD"], "EUR")
    }

    fn element(&mut self) -> TariffElement {
        let mut price_components = self.components();
        let restrictions = self.maybe(0.9, Self::restrictions);
        if self.has(Quirk::PeriodWithoutTariff) && restrictions.is_some() {
            // Nor is it clear whether such a period brings a fee about.
            price_components.retain(|price| price.dimension != TariffDimensionType::Flat);
        }
        TariffElement { price_components, restrictions }
    }

    fn components(&mut self) -> Vec<PriceComponent> {
        (0..self.random.random_range(1..4)).map(|_| self.component(&DIMENSIONS)).collect()
    }

    fn component(&mut self, dimensions: &[TariffDimensionType]) -> PriceComponent {
        let most = if self.random.random_bool(0.5) { 5_000 } else { 60_000 };
        PriceComponent {
            dimension: self.one_of(dimensions, TariffDimensionType::Energy),
            price: Decimal::new(self.random.random_range(0..most), 4),
            vat: self.maybe(0.8, |maker| {
                let percent = maker.one_of(&[0, 52, 100, 210, 77, 200], 210);
                Decimal::new(percent, 1)
            }),
            step_size: self.one_of(&[0, 1, 1, 1, 60, 300, 500, 900, 1_000], 1),
        }
    }

    fn reservation(&mut self, reservation: ReservationRestrictionType) -> TariffElement {
        let dimensions = [TariffDimensionType::Time, TariffDimensionType::Flat];
        let restrictions =
            TariffRestrictions { reservation: Some(reservation), ..TariffRestrictions::default() };
        TariffElement {
            price_components: vec![self.component(&dimensions)],
            restrictions: Some(restrictions),
        }
    }

    fn limit(&mut self, most: i64) -> Option<Price> {
        self.maybe(0.2, |maker| {
            let excl = Decimal::new(maker.random.random_range(0..most * 100), 2);
            let percent = maker.one_of(&[110, 121, 100], 121);
            Price {
                excl_vat: excl,
                incl_vat: maker
                    .maybe(0.7, |_| (excl * Decimal::new(percent, 2)).round_dp(4).normalize()),
            }
        })
    }

    fn restrictions(&mut self) -> TariffRestrictions {
        // The energy of a period without tariff counts for nobody's thresholds.
        let counts = !self.has(Quirk::PeriodWithoutTariff);
        let powers = self.has(Quirk::PowerRange) || self.has(Quirk::PowerUnstated);
        let (power, current, other) = if powers { (0.5, 0.25, 0.05) } else { (0.08, 0.04, 0.2) };
        let whole_day = self.has(Quirk::WholeDay);
        let mut restrictions = TariffRestrictions {
            start_time: self.maybe(0.3, Self::time),
            end_time: self.maybe(0.3, Self::time),
            start_date: self.maybe(0.1, Self::date),
            end_date: self.maybe(0.1, Self::date),
            min_power: self.maybe(power, Self::kw),
            max_power: self.maybe(power, Self::kw),
            min_current: self.maybe(current, Self::ampere),
            max_current: self.maybe(current, Self::ampere),
            ..TariffRestrictions::default()
        };
        if counts {
            restrictions.min_kwh = self.maybe(other, Self::kwh);
            restrictions.max_kwh = self.maybe(other, Self::kwh);
            restrictions.min_duration = self.maybe(other, Self::seconds);
            restrictions.max_duration = self.maybe(other, Self::seconds);
        }
        if self.random.random_bool(0.2) {
            let (from, to) = (self.random.random_range(0..7), self.random.random_range(1..8));
            restrictions.day_of_week = DAYS.get(from..to).unwrap_or(&DAYS).to_vec();
        }
        let empty = restrictions.start_time == restrictions.end_time
            || (restrictions.start_time.is_none()
                && restrictions.end_time.as_deref() == Some("00:00"));
        if whole_day && self.random.random_bool(0.5) {
            restrictions.end_time = Some(self.time());
            restrictions.start_time = restrictions.end_time.clone();
        } else if empty {
            restrictions.end_time = None;
        }
        restrictions
    }

    fn time(&mut self) -> String {
        let (hour, minute) = (self.random.random_range(0..24), self.random.random_range(0..4));
        format!("{hour:02}:{:02}", minute * 15)
    }

    fn date(&mut self) -> String {
        let around = Duration::days(self.random.random_range(-1..=2));
        let day: DateTime<Utc> = self.course.start + around;
        day.with_timezone(&self.zone).format("%Y-%m-%d").to_string()
    }

    fn kwh(&mut self) -> Decimal {
        let most = (self.course.energy() / 1_000).max(1);
        Decimal::new(self.random.random_range(0..=most), 1)
    }

    fn seconds(&mut self) -> u32 {
        let ticks = self.random.random_range(0..=self.course.ticks());
        u32::try_from(ticks * TICK_S).unwrap_or_default()
    }

    fn kw(&mut self) -> Decimal {
        Decimal::new(self.one_of(&[37, 74, 110, 220, 320], 110), 1)
    }

    fn ampere(&mut self) -> Decimal {
        Decimal::from(self.one_of(&[6, 16, 32, 48, 63, 100], 16))
    }
}
