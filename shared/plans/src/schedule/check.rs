//! What is wrong with a schedule before a tariff is made of it.

use std::collections::BTreeSet;

use chrono::{Datelike, NaiveDate, Weekday};
use rust_decimal::Decimal;

use super::{ClockTime, DateRule, DayKind, DayPrices, Schedule, Season, day::DAY_MINUTES};
use crate::{Finding, finding::Findings};

/// Any 28 years in a row have every kind of calendar: leap or not, beginning on any weekday.
const YEARS_FROM: i32 = 2000;
const YEARS_UNTIL: i32 = YEARS_FROM + 28;

/// More decimals than any currency or utility uses.
const DECIMALS_MAX: u32 = 8;

/// The 15 digits that a JSON number carries exactly, whatever they are (see [`ocpi::number`]).
const DIGITS_MAX: u128 = 999_999_999_999_999;

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

impl Schedule {
    /// Everything that is wrong with it: days, hours or seasons without a price or with two, prices
    /// below zero, rules that give no date.
    #[must_use]
    pub fn validate(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.check_margin(&mut findings);
        self.check_holidays(&mut findings);
        let mut boundaries_hold = true;
        for (index, season) in self.seasons.iter().enumerate() {
            let place = format!("seasons[{index}]");
            boundaries_hold &= check_boundaries(&place, season, &mut findings);
            self.check_days(&place, season, &mut findings);
            for (position, prices) in season.days.iter().enumerate() {
                self.check_hours(&format!("{place}.days[{position}]"), prices, &mut findings);
            }
        }
        if boundaries_hold {
            self.check_seasons(&mut findings);
        }
        findings.into_list()
    }

    fn check_margin(&self, findings: &mut Findings) {
        let Some(margin) = self.margin else { return };
        if margin.decimals > DECIMALS_MAX {
            let message = format!("{} decimals; use at most {DECIMALS_MAX}", margin.decimals);
            findings.error("too_many_decimals", "margin.decimals", message);
        }
        let days = self.seasons.iter().flat_map(|season| &season.days);
        let prices: BTreeSet<Decimal> =
            days.flat_map(|day| &day.periods).map(|period| period.price).collect();
        let sold: Result<BTreeSet<Decimal>, _> =
            prices.iter().map(|price| self.sold(*price)).collect();
        if let Ok(sold) = sold
            && sold.len() < prices.len()
        {
            let (prices, sold) = (prices.len(), sold.len());
            let message = format!(
                "{prices} prices of the utility become {sold}; use more than {} decimals to keep \
                 them apart",
                margin.decimals
            );
            findings.warning("prices_rounded_together", "margin.decimals", message);
        }
    }

    fn check_holidays(&self, findings: &mut Findings) {
        let days = self.seasons.iter().flat_map(|season| &season.days);
        if self.holidays.is_empty()
            && days.flat_map(|day| &day.on).any(|on| *on == DayKind::Holidays)
        {
            let message = "there are prices for holidays, but no holiday; list them, or remove \
                           `holidays` from `on`";
            findings.warning("no_holiday", "holidays", message.to_owned());
        }
        for (index, holiday) in self.holidays.iter().enumerate() {
            let place = format!("holidays[{index}].on");
            let name = &holiday.name;
            let years = YEARS_FROM..YEARS_UNTIL;
            let falls = match &holiday.on {
                DateRule::Dates { dates } => !dates.is_empty(),
                rule => years.into_iter().any(|year| !rule.in_year(year).is_empty()),
            };
            if !falls {
                let message = format!("`{name}` is on no date; check its rule, or remove it");
                findings.error("holiday_without_date", place, message);
            }
        }
    }

    /// Every kind of day has prices, and no kind has them twice.
    fn check_days(&self, place: &str, season: &Season, findings: &mut Findings) {
        let days = WEEK.into_iter().map(Some).chain([None]);
        for day in days {
            let name = day.map_or("holidays".to_owned(), |day| format!("{day:?}"));
            let covers = |prices: &&DayPrices| prices.on.iter().any(|kind| kind.covers(day));
            let count = season.days.iter().filter(covers).count();
            let season = &season.name;
            if count > 1 {
                let message = format!(
                    "{name} has {count} sets of prices in `{season}`; leave it in one of them"
                );
                findings.error("day_twice", format!("{place}.days"), message);
            }
            let priced_anyhow = day.is_none() && self.holidays.is_empty();
            if count == 0 && !priced_anyhow {
                let message = format!("{name} has no prices in `{season}`; add it to one of `on`");
                findings.error("day_without_prices", format!("{place}.days"), message);
            }
        }
    }

    /// Every minute of a day has one price, and none is below zero.
    fn check_hours(&self, place: &str, prices: &DayPrices, findings: &mut Findings) {
        let mut boundaries = BTreeSet::from([0, DAY_MINUTES]);
        for (index, period) in prices.periods.iter().enumerate() {
            let place = format!("{place}.periods[{index}]");
            let name = &period.name;
            let minutes = period.minutes();
            if minutes.is_empty() {
                let message = format!(
                    "`{name}` from {} to {} is empty; a whole day is from 00:00 to 24:00",
                    period.from, period.to
                );
                findings.error("empty_period", place.clone(), message);
            }
            boundaries.extend(minutes.into_iter().flat_map(|(from, to)| [from, to]));
            match self.sold(period.price) {
                Err(overflow) => findings.error("price", place, overflow.to_string()),
                Ok(sold) if sold < Decimal::ZERO || period.price < Decimal::ZERO => {
                    let message = format!(
                        "`{name}` is sold at {sold} per kWh for {}; a price is 0 or more",
                        period.price
                    );
                    findings.error("negative_price", place, message);
                }
                Ok(sold) if sold.normalize().mantissa().unsigned_abs() > DIGITS_MAX => {
                    let message = format!(
                        "`{name}` is sold at {sold}, more digits than a price can carry; round it \
                         with margin.decimals"
                    );
                    findings.error("too_many_digits", place, message);
                }
                Ok(_) => {}
            }
        }
        let boundaries: Vec<u16> = boundaries.into_iter().collect();
        for range in boundaries.windows(2) {
            if let [from, to] = *range {
                check_range(place, prices, (from, to), findings);
            }
        }
    }

    /// Every day of the year is in one season.
    fn check_seasons(&self, findings: &mut Findings) {
        let first = NaiveDate::from_yo_opt(YEARS_FROM, 1).unwrap_or_default();
        let dates = first.iter_days().take_while(|date| date.year() < YEARS_UNTIL);
        let seasons_of = |date: NaiveDate| -> Vec<&str> {
            let seasons = self.seasons.iter().filter(|season| season.contains(date));
            seasons.map(|season| season.name.as_str()).collect()
        };
        let days: Vec<(NaiveDate, Vec<&str>)> =
            dates.map(|date| (date, seasons_of(date))).collect();
        let Some(good) = days.iter().position(|(_, seasons)| seasons.len() == 1) else {
            let message = "no day of the year is in one season and no other; \
                           a season of the whole year is from 01-01 to 12-31";
            findings.error("no_season", "seasons", message.to_owned());
            return;
        };
        let mut told = BTreeSet::new();
        // From a good day on, so that a gap over New Year is seen whole.
        for run in days.split_at(good).1.chunk_by(|(_, one), (_, next)| one == next) {
            let ([(from, seasons), ..], Some((to, _))) = (run, run.last()) else { continue };
            // One and the same mistake comes again every year.
            if seasons.len() != 1 && told.insert((from.month(), seasons)) {
                note_seasons(*from, *to, seasons, findings);
            }
        }
    }
}

fn note_seasons(from: NaiveDate, to: NaiveDate, seasons: &[&str], findings: &mut Findings) {
    let (from, to) = (from.format("%m-%d"), to.format("%m-%d"));
    if seasons.is_empty() {
        let message = format!("no season has {from} to {to}; move a season's `from` or `to`");
        findings.error("season_gap", "seasons", message);
    } else {
        let both = seasons.join("` and `");
        let message = format!("`{both}` share {from} to {to}; move a season's `from` or `to`");
        findings.error("season_overlap", "seasons", message);
    }
}

/// A season begins and ends on one day of every year.
fn check_boundaries(place: &str, season: &Season, findings: &mut Findings) -> bool {
    let mut hold = true;
    for (field, rule) in [("from", &season.from), ("to", &season.to)] {
        if !rule.is_yearly() {
            let name = &season.name;
            let message = format!(
                "`{name}` has {rule}, which is not one day of every year; use 06-01, or a weekday \
                 by its number from 1 to 4"
            );
            findings.error("season_boundary", format!("{place}.{field}"), message);
            hold = false;
        }
    }
    hold
}

/// The minutes from one boundary to the next have exactly one period.
fn check_range(place: &str, prices: &DayPrices, range: (u16, u16), findings: &mut Findings) {
    let within = |(from, to): &(u16, u16)| *from <= range.0 && range.1 <= *to;
    let periods = prices.periods.iter().filter(|period| period.minutes().iter().any(within));
    let names: Vec<&str> = periods.map(|period| period.name.as_str()).collect();
    let (from, to) = (ClockTime::from_minutes(range.0), ClockTime::from_minutes(range.1));
    let place = format!("{place}.periods");
    if names.is_empty() {
        let message = format!("{from} to {to} has no price; add a period or lengthen one");
        findings.error("period_gap", place, message);
    } else if names.len() > 1 {
        let names = names.join("` and `");
        let message = format!("`{names}` both price {from} to {to}; shorten one");
        findings.error("period_overlap", place, message);
    }
}
