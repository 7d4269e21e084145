//! Dates by rule: when a season begins, when a holiday is.

use std::{fmt, str::FromStr};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use ocpi::DayOfWeek;
use serde::{Deserialize, Serialize};

/// A day of the year, `12-25`. 29 February is 28 February in a common year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MonthDay {
    month: u32,
    day: u32,
}

/// Why a text is no day of the year.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a month and a day such as 12-25")]
pub struct MonthDayError(String);

impl MonthDay {
    pub(crate) fn in_year(self, year: i32) -> Option<NaiveDate> {
        let date = NaiveDate::from_ymd_opt(year, self.month, self.day);
        date.or_else(|| NaiveDate::from_ymd_opt(year, self.month, 28))
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl FromStr for MonthDay {
    type Err = MonthDayError;

    fn from_str(text: &str) -> Result<Self, MonthDayError> {
        let in_leap_year = NaiveDate::parse_from_str(&format!("2000-{text}"), "%Y-%m-%d").ok();
        let read = in_leap_year.map(|date| Self { month: date.month(), day: date.day() });
        read.filter(|_| text.len() == 5).ok_or_else(|| MonthDayError(text.to_owned()))
    }
}

impl TryFrom<String> for MonthDay {
    type Error = MonthDayError;

    fn try_from(text: String) -> Result<Self, MonthDayError> {
        text.parse()
    }
}

impl From<MonthDay> for String {
    fn from(day: MonthDay) -> Self {
        day.to_string()
    }
}

/// Which date of a year is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DateRule {
    /// The same day every year.
    Fixed(MonthDay),
    /// `{"nth": 3, "weekday": "MONDAY", "month": 2}`: the third Monday of February.
    Nth {
        /// From 1; the fifth is not there in every year.
        nth: u8,
        /// The weekday.
        weekday: DayOfWeek,
        /// From 1.
        month: u32,
    },
    /// `{"last": "MONDAY", "month": 5}`: the last Monday of May.
    Last {
        /// The weekday.
        last: DayOfWeek,
        /// From 1.
        month: u32,
    },
    /// `{"weekday": "MONDAY", "before": "05-25"}`: the last Monday before 25 May.
    Before {
        /// The weekday.
        weekday: DayOfWeek,
        /// The day that it comes before.
        before: MonthDay,
    },
    /// `{"easter": -2}`: Good Friday, two days before the western Easter Sunday.
    Easter {
        /// Days after Easter Sunday; negative before it.
        easter: i32,
    },
    /// `{"dates": ["2026-11-03"]}`: where no rule gives the day.
    Dates {
        /// The dates, of any years.
        dates: Vec<NaiveDate>,
    },
}

impl DateRule {
    /// Its dates in `year`, most often one.
    #[must_use]
    pub fn in_year(&self, year: i32) -> Vec<NaiveDate> {
        let one = match self {
            Self::Fixed(day) => day.in_year(year),
            Self::Nth { nth, weekday, month } => {
                NaiveDate::from_weekday_of_month_opt(year, *month, (*weekday).into(), *nth)
            }
            Self::Last { last, month } => (1..=5).rev().find_map(|nth| {
                NaiveDate::from_weekday_of_month_opt(year, *month, (*last).into(), nth)
            }),
            Self::Before { weekday, before } => before.in_year(year).and_then(|before| {
                let weekday = Weekday::from(*weekday);
                (1..=7)
                    .map_while(|days| before.checked_sub_days(Days::new(days)))
                    .find(|date| date.weekday() == weekday)
            }),
            Self::Easter { easter } => easter_sunday(year).and_then(|sunday| {
                sunday.checked_add_signed(chrono::Duration::days((*easter).into()))
            }),
            Self::Dates { dates } => {
                return dates.iter().filter(|date| date.year() == year).copied().collect();
            }
        };
        one.into_iter().collect()
    }

    /// Whether there is one such date in every year.
    pub(crate) fn is_yearly(&self) -> bool {
        !matches!(self, Self::Dates { .. } | Self::Nth { nth: 5.., .. })
    }
}

/// Western Easter Sunday.
fn easter_sunday(year: i32) -> Option<NaiveDate> {
    let easter = computus::gregorian(year).ok()?;
    NaiveDate::from_ymd_opt(easter.year, easter.month, easter.day)
}

impl fmt::Display for DateRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(day) => day.fmt(f),
            Self::Nth { nth, weekday, month } => {
                write!(f, "{weekday:?} number {nth} of month {month}")
            }
            Self::Last { last, month } => write!(f, "the last {last:?} of month {month}"),
            Self::Before { weekday, before } => write!(f, "the last {weekday:?} before {before}"),
            Self::Easter { easter } => write!(f, "Easter Sunday {easter:+} days"),
            Self::Dates { dates } => write!(f, "{} stated dates", dates.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(rule: &str, years: std::ops::RangeInclusive<i32>) -> Vec<String> {
        let rule: DateRule = serde_json::from_str(rule).unwrap();
        years.flat_map(|year| rule.in_year(year)).map(|date| date.to_string()).collect()
    }

    #[test]
    fn holidays_fall_where_the_calendars_of_those_years_have_them() {
        // Christmas; Family Day, Ontario; Memorial Day, United States; Victoria Day, Canada, also
        // in the year in which 25 May itself is a Monday; Good Friday.
        let cases = [
            (r#""12-25""#, 2026..=2027, vec!["2026-12-25", "2027-12-25"]),
            (
                r#"{"nth":3,"weekday":"MONDAY","month":2}"#,
                2025..=2026,
                vec!["2025-02-17", "2026-02-16"],
            ),
            (r#"{"last":"MONDAY","month":5}"#, 2026..=2027, vec!["2026-05-25", "2027-05-31"]),
            (
                r#"{"weekday":"MONDAY","before":"05-25"}"#,
                2025..=2026,
                vec!["2025-05-19", "2026-05-18"],
            ),
            (r#"{"easter":-2}"#, 2023..=2026, {
                vec!["2023-04-07", "2024-03-29", "2025-04-18", "2026-04-03"]
            }),
            (r#"{"dates":["2026-11-03","2028-11-07"]}"#, 2026..=2027, vec!["2026-11-03"]),
            (r#"{"nth":5,"weekday":"MONDAY","month":2}"#, 2024..=2026, vec![]),
            (r#""02-29""#, 2024..=2025, vec!["2024-02-29", "2025-02-28"]),
        ];
        for (rule, years, expected) in cases {
            assert_eq!(dates(rule, years), expected, "{rule}");
        }
    }

    #[test]
    fn only_days_that_exist_are_days_of_the_year() {
        for wrong in ["02-30", "13-01", "6-1", "06/01", "00-10", ""] {
            assert!(wrong.parse::<MonthDay>().is_err(), "{wrong}");
        }
        assert_eq!("02-29".parse::<MonthDay>().unwrap().to_string(), "02-29");
    }
}
