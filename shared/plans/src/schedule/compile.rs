//! A schedule made into a tariff.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use chrono::{DateTime, Datelike, Days, NaiveDate, Offset, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use ocpi::{
    DayOfWeek, PriceComponent, Tariff, TariffDimensionType, TariffElement, TariffRestrictions,
};
use quantities::MoneyError;
use rust_decimal::Decimal;

use super::{
    ClockTime, DateRule, Schedule, Season,
    day::{DAY_MINUTES, Profile, Window},
    holidays,
};
use crate::{Finding, Severity, finding::Findings, local::first_moment};

/// Days after the span that are compiled too: a session keeps the tariff that it began with, and
/// one that is still running when the next tariff begins gets this schedule's prices, its holidays
/// included.
pub const RUN_OVER_DAYS: u64 = 7;

/// The longest span. Nobody knows a utility's prices for longer.
const SPAN_DAYS_MAX: i64 = 3_660;

/// The days of a week from Monday, each with its bit in a set of days.
const WEEK: [(Weekday, DayOfWeek, u8); 7] = [
    (Weekday::Mon, DayOfWeek::Monday, 1),
    (Weekday::Tue, DayOfWeek::Tuesday, 2),
    (Weekday::Wed, DayOfWeek::Wednesday, 4),
    (Weekday::Thu, DayOfWeek::Thursday, 8),
    (Weekday::Fri, DayOfWeek::Friday, 16),
    (Weekday::Sat, DayOfWeek::Saturday, 32),
    (Weekday::Sun, DayOfWeek::Sunday, 64),
];

/// All days of a week.
const EVERY_DAY: u8 = 127;

/// The local dates for which a tariff is made: from the first, until before the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first day.
    pub from: NaiveDate,
    /// The day after its last.
    pub until: NaiveDate,
}

/// What the elements of a season, or of a part of one, are made from.
struct Segment {
    dates: Dates,
    week: Week,
}

/// Between which dates an element holds; the second is not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Dates {
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
}

/// The prices of a week without holidays, from Monday.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Week([Profile; 7]);

impl Schedule {
    /// The tariff that sells at this schedule's prices, with its margin, in `span`.
    ///
    /// `around` is the tariff without its ENERGY prices: its id, texts, start fee, idle fee. Its
    /// elements come last; currency and elements for energy are the schedule's, and so is the
    /// validity. `zone` is the site's: OCPI's hours are the hours of the site's clocks.
    ///
    /// The tariff is small because an element says only what those after it do not: holidays where
    /// they differ from an ordinary day of the season, hours that have one price all year, the
    /// hours of each season, and at last, without restrictions, the price of all other hours. So no
    /// moment is without a price, before and after the span either. Hours over midnight are written
    /// as two where a day or a date restricts them too: OCPI does not say whether such an element
    /// goes on into a day that it does not name.
    ///
    /// # Errors
    ///
    /// Everything that refuses it.
    pub fn compile(&self, span: Span, zone: Tz, around: &Tariff) -> Result<Tariff, Vec<Finding>> {
        let mut refused = self.validate();
        refused.retain(|finding| finding.severity == Severity::Error);
        let mut findings = Findings::default();
        self.check_span(span, zone, &mut findings);
        self.check_around(around, &mut findings);
        refused.extend(findings.into_list());
        if !refused.is_empty() {
            return Err(refused);
        }
        let elements = self.elements(span).map_err(|overflow| {
            let mut findings = Findings::default();
            findings.error("price", "seasons", overflow.to_string());
            findings.into_list()
        })?;
        Ok(Tariff {
            currency: self.currency.code().to_owned(),
            elements: elements.into_iter().chain(around.elements.iter().cloned()).collect(),
            start_date_time: first_moment(span.from, zone),
            end_date_time: first_moment(span.until, zone),
            ..around.clone()
        })
    }

    fn check_span(&self, span: Span, zone: Tz, findings: &mut Findings) {
        let Span { from, until } = span;
        let days = (until - from).num_days();
        let known = (1970..=9990).contains(&from.year());
        if !(1..=SPAN_DAYS_MAX).contains(&days) || !known {
            let message = format!(
                "{from} to {until} is not 1 to {SPAN_DAYS_MAX} days from 1970 on; state other dates"
            );
            findings.error("span", "", message);
            return;
        }
        if let Some(at) = unlike(self.time_zone, zone, span) {
            let message = format!(
                "its hours are those of {}, the site's clocks are those of {zone} and show \
                 something else at {at}; give the schedule the site's time zone",
                self.time_zone
            );
            findings.error("time_zone_mismatch", "time_zone", message);
        }
        for (index, holiday) in self.holidays.iter().enumerate() {
            let DateRule::Dates { dates } = &holiday.on else { continue };
            // A list of dates ends one day; unnoticed, a holiday would be sold as a weekday.
            if days >= 365 && !dates.iter().any(|date| (from..until).contains(date)) {
                let message = format!(
                    "`{}` has no date from {from} until {until}; add this year's",
                    holiday.name
                );
                findings.error("holiday_not_in_span", format!("holidays[{index}].on"), message);
            }
        }
    }

    fn check_around(&self, around: &Tariff, findings: &mut Findings) {
        if !around.currency.eq_ignore_ascii_case(self.currency.code()) {
            let message = format!(
                "the schedule is in {}, the tariff in {}; use one currency",
                self.currency, around.currency
            );
            findings.error("currency_mismatch", "currency", message);
        }
        let mut components = around.elements.iter().flat_map(|element| &element.price_components);
        if components.any(|component| component.dimension == TariffDimensionType::Energy) {
            let message = "the tariff prices ENERGY itself; remove that, the schedule does";
            findings.error("energy_twice", "", message.to_owned());
        }
    }

    fn elements(&self, span: Span) -> Result<Vec<TariffElement>, MoneyError> {
        let until = span.until.checked_add_days(Days::new(RUN_OVER_DAYS)).unwrap_or(span.until);
        let mut elements = self.holiday_elements(span.from, until)?;
        elements.extend(self::elements(&self.segments(span.from, until)?));
        Ok(elements)
    }

    fn season(&self, date: NaiveDate) -> Option<&Season> {
        self.seasons.iter().find(|season| season.contains(date))
    }

    /// The dates with their weeks, as few as there are changes.
    fn segments(&self, from: NaiveDate, until: NaiveDate) -> Result<Vec<Segment>, MoneyError> {
        let weeks: Vec<Week> =
            self.seasons.iter().map(|season| self.week(season)).collect::<Result<_, _>>()?;
        let week = |date| {
            let mut seasons = self.seasons.iter().zip(&weeks);
            seasons.find(|(season, _)| season.contains(date)).map(|(_, week)| week)
        };
        let mut segments: Vec<Segment> = Vec::new();
        for date in from.iter_days().take_while(|date| *date < until) {
            let Some(week) = week(date) else { continue };
            match segments.last_mut() {
                Some(last) if last.week == *week => {}
                last => {
                    // The first and the last are open: the tariff's own validity bounds them.
                    let begin = last.is_some().then_some(date);
                    if let Some(last) = last {
                        last.dates.until = Some(date);
                    }
                    let dates = Dates { from: begin, until: None };
                    segments.push(Segment { dates, week: week.clone() });
                }
            }
        }
        Ok(segments)
    }

    fn week(&self, season: &Season) -> Result<Week, MoneyError> {
        let mut week = Week(<[Profile; 7]>::default());
        for ((day, ..), profile) in WEEK.into_iter().zip(&mut week.0) {
            *profile = season.day(self, Some(day))?.unwrap_or_default();
        }
        Ok(week)
    }

    /// The hours of holidays whose price is not that of the same hours on an ordinary day.
    fn holiday_elements(
        &self,
        from: NaiveDate,
        until: NaiveDate,
    ) -> Result<Vec<TariffElement>, MoneyError> {
        let mut runs: Vec<(NaiveDate, NaiveDate, Vec<Window>)> = Vec::new();
        for date in holidays::between(&self.holidays, from, until) {
            let (Some(season), Some(next)) = (self.season(date), date.succ_opt()) else { continue };
            let ordinary = season.day(self, Some(date.weekday()))?.unwrap_or_default();
            let holiday = season.day(self, None)?.unwrap_or_default();
            let windows = holiday.unlike(&ordinary);
            match runs.last_mut() {
                Some((_, end, same)) if *end == date && *same == windows => *end = next,
                _ => runs.push((date, next, windows)),
            }
        }
        let elements = runs.iter().flat_map(|(from, until, windows)| {
            let dates = Dates { from: Some(*from), until: Some(*until) };
            windows.iter().map(move |window| restricted(*window, EVERY_DAY, dates))
        });
        Ok(elements.collect())
    }
}

/// The price whose hours are in the most pieces, "all other hours"; of several such the one with
/// the most of them, then the lowest.
fn most_scattered(segments: &[Segment]) -> Option<Decimal> {
    let mut hours_of: BTreeMap<Decimal, (u32, u32)> = BTreeMap::new();
    let profiles = segments.iter().flat_map(|segment| &segment.week.0);
    for window in profiles.flat_map(|profile| &profile.0) {
        let (pieces, minutes) = hours_of.entry(window.price).or_default();
        *pieces += 1;
        *minutes += u32::from(window.to - window.from);
    }
    let prices = hours_of.into_iter().min_by_key(|(_, hours)| Reverse(*hours));
    prices.map(|(price, _)| price)
}

/// The elements of `segments`, at last that of the most scattered price. It needs no restrictions
/// there, so the tariff is small, and all its hours are one line on a bill.
fn elements(segments: &[Segment]) -> Vec<TariffElement> {
    let Some(everywhere) = most_scattered(segments) else { return Vec::new() };
    let mut hours = segments.iter().map(|segment| segment.beside(everywhere));
    let shared = hours.next().unwrap_or_default();
    // Hours that have one price all year need no date.
    let shared = hours.fold(shared, |shared, hours| &shared & &hours);
    let all_year = in_order(over_midnight(shared.clone()));
    let all_year = all_year.map(|(window, days)| restricted(window, days, Dates::default()));
    let dated = segments.iter().flat_map(|segment| segment.elements(everywhere, &shared));
    all_year.chain(dated).chain([element(everywhere, None)]).collect()
}

/// Hours with one price, and the days of the week on which they have it.
type Hours = BTreeSet<(Window, u8)>;

impl Segment {
    fn prices(&self) -> BTreeSet<Decimal> {
        let windows = self.week.0.iter().flat_map(|profile| &profile.0);
        windows.map(|window| window.price).collect()
    }

    /// Its elements besides those for the hours that all segments share, before one of `everywhere`
    /// for all that they leave.
    fn elements(&self, everywhere: Decimal, shared: &Hours) -> Vec<TariffElement> {
        let said = |hours: &Hours| -> Vec<TariffElement> {
            let own = in_order(hours - shared);
            own.map(|(window, days)| restricted(window, days, self.dates)).collect()
        };
        let others = self.prices().into_iter().filter(|price| *price != everywhere).map(|price| {
            let mut elements = said(&self.beside(price));
            // All else in this part of the year.
            let whole = Window { from: 0, to: DAY_MINUTES, price };
            elements.push(restricted(whole, EVERY_DAY, self.dates));
            elements
        });
        let first = said(&self.beside(everywhere));
        others.fold(first, |best, other| if other.len() < best.len() { other } else { best })
    }

    /// The hours of another price than `price`.
    fn beside(&self, price: Decimal) -> Hours {
        let mut days_of: BTreeMap<Window, u8> = BTreeMap::new();
        for (profile, (_, _, bit)) in self.week.0.iter().zip(WEEK) {
            for window in profile.beside(price) {
                *days_of.entry(window).or_default() |= bit;
            }
        }
        days_of.into_iter().collect()
    }
}

/// By the first day on which they have their price, then by the time of day.
fn in_order(hours: Hours) -> impl Iterator<Item = (Window, u8)> {
    let mut hours: Vec<(Window, u8)> = hours.into_iter().collect();
    hours.sort_by_key(|(window, days)| (days.trailing_zeros(), window.from));
    hours.into_iter()
}

/// Where neither day nor date restricts them, the last hours of a day go on into the first ones.
fn over_midnight(mut hours: Hours) -> Hours {
    let every_day = |(window, days): &(Window, u8)| (*days == EVERY_DAY).then_some(*window);
    let all: Vec<Window> = hours.iter().filter_map(every_day).collect();
    let evening = all.iter().find(|window| window.to == DAY_MINUTES && window.from > 0);
    let morning = all.iter().find(|window| window.from == 0 && window.to < DAY_MINUTES);
    if let (Some(evening), Some(morning)) = (evening, morning)
        && evening.price == morning.price
    {
        hours.remove(&(*evening, EVERY_DAY));
        hours.remove(&(*morning, EVERY_DAY));
        hours.insert((Window { to: morning.to, ..*evening }, EVERY_DAY));
    }
    hours
}

fn restricted(window: Window, days: u8, dates: Dates) -> TariffElement {
    let whole_day = window.from == 0 && window.to == DAY_MINUTES;
    let time = |minutes| (!whole_day).then(|| ClockTime::from_minutes(minutes).to_ocpi());
    let day_of_week = if days == EVERY_DAY {
        Vec::new()
    } else {
        WEEK.into_iter().filter(|(_, _, bit)| days & bit != 0).map(|(_, day, _)| day).collect()
    };
    let restrictions = TariffRestrictions {
        start_time: time(window.from),
        end_time: time(window.to),
        start_date: dates.from.map(|date| date.to_string()),
        end_date: dates.until.map(|date| date.to_string()),
        day_of_week,
        ..TariffRestrictions::default()
    };
    element(
        window.price,
        Some(restrictions).filter(|stated| *stated != TariffRestrictions::default()),
    )
}

fn element(price: Decimal, restrictions: Option<TariffRestrictions>) -> TariffElement {
    let component =
        PriceComponent { dimension: TariffDimensionType::Energy, price, vat: None, step_size: 1 };
    TariffElement { price_components: vec![component], restrictions }
}

/// When two zones' clocks first differ in `span`, looking every hour.
fn unlike(one: Tz, other: Tz, span: Span) -> Option<DateTime<Utc>> {
    if one == other {
        return None;
    }
    let offset =
        |zone: Tz, at: &DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    let until = first_moment(span.until, other)?;
    let next = |at: &DateTime<Utc>| at.checked_add_signed(TimeDelta::hours(1));
    let hours = std::iter::successors(first_moment(span.from, other), next);
    let mut span = hours.take_while(|at| *at < until);
    span.find(|at| offset(one, at) != offset(other, at))
}
