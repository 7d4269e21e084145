//! Holidays of a span of time, those included that are observed on another day.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use super::DateRule;

/// A day on which holiday prices apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holiday {
    /// What it is called.
    pub name: String,
    /// When it is.
    pub on: DateRule,
    /// What happens when that is on a weekend.
    #[serde(default)]
    pub observed: Observed,
}

/// On which day a holiday that falls on a weekend is observed. The day itself stays a holiday too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// On the day itself only.
    #[default]
    SameDay,
    /// A Sunday's holiday on the Monday after it, a Saturday's on the day itself only.
    SundayToMonday,
    /// A Sunday's on the Monday after, a Saturday's on the Friday before (federal holidays of the
    /// United States).
    NearestWeekday,
    /// On the next weekday that is no holiday itself (Ontario).
    NextFreeWeekday,
}

/// Every holiday from `from` until before `until`.
pub(super) fn between(
    holidays: &[Holiday],
    from: NaiveDate,
    until: NaiveDate,
) -> BTreeSet<NaiveDate> {
    // A year on either side: New Year's Day may be observed in December.
    let years = || (from.year().saturating_sub(1))..=(until.year().saturating_add(1));
    let mut stated: Vec<(NaiveDate, Observed)> = years()
        .flat_map(|year| {
            let dates = holidays.iter().map(move |holiday| (holiday.on.in_year(year), holiday));
            dates
                .flat_map(|(dates, holiday)| dates.into_iter().map(|date| (date, holiday.observed)))
        })
        .collect();
    // In order of time, so that of two holidays on one weekend the first gets the first free day.
    stated.sort_unstable_by_key(|(date, _)| *date);
    let mut found: BTreeSet<NaiveDate> = stated.iter().map(|(date, _)| *date).collect();
    for (date, observed) in stated {
        if let Some(day) = observed_on(date, observed, &found) {
            found.insert(day);
        }
    }
    found.retain(|date| (from..until).contains(date));
    found
}

fn observed_on(
    date: NaiveDate,
    observed: Observed,
    holidays: &BTreeSet<NaiveDate>,
) -> Option<NaiveDate> {
    let weekday = date.weekday();
    if !is_weekend(weekday) {
        return None;
    }
    match observed {
        Observed::SameDay => None,
        Observed::SundayToMonday if weekday == Weekday::Sat => None,
        Observed::NearestWeekday if weekday == Weekday::Sat => date.pred_opt(),
        Observed::SundayToMonday | Observed::NearestWeekday => date.succ_opt(),
        Observed::NextFreeWeekday => {
            let mut later = (1..).map_while(|days| date.checked_add_days(Days::new(days)));
            later.find(|day| !is_weekend(day.weekday()) && !holidays.contains(day))
        }
    }
}

fn is_weekend(day: Weekday) -> bool {
    matches!(day, Weekday::Sat | Weekday::Sun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holidays(observed: Observed, days: &[&str], from: &str, until: &str) -> Vec<String> {
        let holiday = |day: &&str| Holiday {
            name: (*day).to_owned(),
            on: DateRule::Fixed(day.parse().unwrap()),
            observed,
        };
        let holidays: Vec<Holiday> = days.iter().map(holiday).collect();
        let found = between(&holidays, from.parse().unwrap(), until.parse().unwrap());
        found.iter().map(|date| date.format("%m-%d").to_string()).collect()
    }

    #[test]
    fn two_holidays_on_one_weekend_are_observed_on_two_weekdays() {
        // Ontario 2021: Saturday 25 and Sunday 26 December, observed on 27 and 28.
        let days = ["12-25", "12-26"];
        assert_eq!(
            holidays(Observed::NextFreeWeekday, &days, "2021-12-01", "2022-01-01"),
            ["12-25", "12-26", "12-27", "12-28"]
        );
        // Ontario 2022: Sunday 25, observed on Tuesday because Monday is Boxing Day.
        assert_eq!(
            holidays(Observed::NextFreeWeekday, &days, "2022-12-01", "2023-01-01"),
            ["12-25", "12-26", "12-27"]
        );
    }

    #[test]
    fn a_new_years_day_may_be_observed_in_the_old_year() {
        // 1 January 2028 is a Saturday.
        let new_year = ["01-01"];
        let in_december = |observed| holidays(observed, &new_year, "2027-12-01", "2028-01-01");
        assert_eq!(in_december(Observed::NearestWeekday), ["12-31"]);
        assert!(in_december(Observed::SundayToMonday).is_empty());
        assert!(in_december(Observed::SameDay).is_empty());
        // 1 January 2023 was a Sunday.
        assert_eq!(
            holidays(Observed::SundayToMonday, &new_year, "2023-01-01", "2023-02-01"),
            ["01-01", "01-02"]
        );
    }
}
