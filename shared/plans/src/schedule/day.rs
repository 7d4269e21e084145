//! The prices of a day.

use std::{cmp::Ordering, fmt, str::FromStr};

use chrono::Weekday;
use ocpi::number;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Minutes in a day of 24 hours, which is the day that clocks show.
pub(super) const DAY_MINUTES: u16 = 24 * 60;

/// What a clock shows, to the minute: `00:00` to `24:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClockTime(u16);

/// Why a text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day such as 07:00, at most 24:00")]
pub struct ClockTimeError(String);

impl ClockTime {
    pub(super) const fn from_minutes(minutes: u16) -> Self {
        Self(minutes)
    }

    /// As OCPI writes it, where midnight at the end of a day is `00:00` too.
    pub(super) fn to_ocpi(self) -> String {
        Self(self.0 % DAY_MINUTES).to_string()
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for ClockTime {
    type Err = ClockTimeError;

    fn from_str(text: &str) -> Result<Self, ClockTimeError> {
        let read = || {
            let (hours, minutes) = text.split_once(':').filter(|_| text.len() == 5)?;
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = |text: &str| text.parse().ok().filter(|_| digits(text));
            let (hours, minutes): (u16, u16) = (parsed(hours)?, parsed(minutes)?);
            let of_day = hours.checked_mul(60)?.checked_add(minutes)?;
            (minutes < 60 && of_day <= DAY_MINUTES).then_some(Self(of_day))
        };
        read().ok_or_else(|| ClockTimeError(text.to_owned()))
    }
}

impl TryFrom<String> for ClockTime {
    type Error = ClockTimeError;

    fn try_from(text: String) -> Result<Self, ClockTimeError> {
        text.parse()
    }
}

impl From<ClockTime> for String {
    fn from(time: ClockTime) -> Self {
        time.to_string()
    }
}

/// Days of a season that have the same prices, and those prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayPrices {
    /// Which days.
    pub on: Vec<DayKind>,
    /// Prices that together cover every minute of such a day once.
    pub periods: Vec<PricePeriod>,
}

/// Which days prices are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the days explain themselves")]
pub enum DayKind {
    /// Every day, holidays too.
    EveryDay,
    /// Monday to Friday, unless it is a holiday.
    Weekdays,
    /// Saturday and Sunday, unless it is a holiday.
    Weekends,
    /// Holidays, whatever day of the week it is.
    Holidays,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl DayKind {
    /// Every kind by its name.
    pub(crate) const ALL: [(&'static str, Self); 11] = [
        ("every_day", Self::EveryDay),
        ("weekdays", Self::Weekdays),
        ("weekends", Self::Weekends),
        ("holidays", Self::Holidays),
        ("monday", Self::Monday),
        ("tuesday", Self::Tuesday),
        ("wednesday", Self::Wednesday),
        ("thursday", Self::Thursday),
        ("friday", Self::Friday),
        ("saturday", Self::Saturday),
        ("sunday", Self::Sunday),
    ];

    /// Whether it is meant when a day is a `day`; `None` is a holiday.
    pub(super) fn covers(self, day: Option<Weekday>) -> bool {
        use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
        match self {
            Self::EveryDay => true,
            Self::Weekdays => matches!(day, Some(Mon | Tue | Wed | Thu | Fri)),
            Self::Weekends => matches!(day, Some(Sat | Sun)),
            Self::Holidays => day.is_none(),
            Self::Monday => day == Some(Mon),
            Self::Tuesday => day == Some(Tue),
            Self::Wednesday => day == Some(Wed),
            Self::Thursday => day == Some(Thu),
            Self::Friday => day == Some(Fri),
            Self::Saturday => day == Some(Sat),
            Self::Sunday => day == Some(Sun),
        }
    }
}

/// A price for some hours of a day.
///
/// The hours are those of one day: on weekdays from 19:00 to 07:00 means the first seven and the
/// last five hours of every weekday; Saturday's first seven are a matter of Saturday's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricePeriod {
    /// What the utility calls it: `on-peak`.
    pub name: String,
    /// From this time of day on.
    pub from: ClockTime,
    /// Until this time of day; before `from` it is over midnight.
    pub to: ClockTime,
    /// The utility's price per kWh, before the margin.
    #[serde(with = "number")]
    pub price: Decimal,
}

impl PricePeriod {
    /// Its minutes of a day, as one or two ranges; none when it is empty.
    pub(super) fn minutes(&self) -> Vec<(u16, u16)> {
        let (from, to) = (self.from.0, self.to.0);
        // Midnight ends a day as well as it begins one.
        let to = if to == 0 { DAY_MINUTES } else { to };
        let ranges = match from.cmp(&to) {
            Ordering::Less => vec![(from, to)],
            Ordering::Greater => vec![(0, to), (from, DAY_MINUTES)],
            Ordering::Equal => Vec::new(),
        };
        ranges.into_iter().filter(|(from, to)| from < to).collect()
    }
}

/// A stretch of a day with one price: from a minute until before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Window {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) price: Decimal,
}

/// All of a day: windows in order of time, each with another price than the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile(pub(super) Vec<Window>);

impl Profile {
    /// The windows put together; they are in order of time and touch or leave gaps.
    fn joined(windows: impl IntoIterator<Item = Window>) -> Vec<Window> {
        let mut joined: Vec<Window> = Vec::new();
        for window in windows {
            match joined.last_mut() {
                Some(last) if last.to == window.from && last.price == window.price => {
                    last.to = window.to;
                }
                _ => joined.push(window),
            }
        }
        joined
    }

    /// The day that `windows` make up, which cover every minute once.
    pub(super) fn new(mut windows: Vec<Window>) -> Self {
        windows.sort_unstable_by_key(|window| window.from);
        Self(Self::joined(windows))
    }

    /// Where this day's price differs from `other`'s.
    pub(super) fn unlike(&self, other: &Self) -> Vec<Window> {
        let both = self.0.iter().flat_map(|mine| {
            let differs = other.0.iter().filter(|theirs| theirs.price != mine.price);
            differs.map(|theirs| Window {
                from: mine.from.max(theirs.from),
                to: mine.to.min(theirs.to),
                price: mine.price,
            })
        });
        Self::joined(both.filter(|window| window.from < window.to))
    }

    /// The windows of another price than `price`.
    pub(super) fn beside(&self, price: Decimal) -> impl Iterator<Item = Window> {
        self.0.iter().copied().filter(move |window| window.price != price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_have_one_spelling() {
        for right in ["00:00", "07:05", "23:59", "24:00"] {
            assert_eq!(right.parse::<ClockTime>().unwrap().to_string(), right);
        }
        for wrong in ["7:00", "24:01", "07:60", "+7:00", "0700", "07:0a", ""] {
            assert!(wrong.parse::<ClockTime>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_holiday_is_told_by_what_it_changes() {
        let window = |from: u16, to: u16, price: i64| Window {
            from: from * 60,
            to: to * 60,
            price: Decimal::from(price),
        };
        let day = Profile::new(vec![
            window(7, 11, 3),
            window(0, 7, 1),
            window(11, 17, 2),
            window(17, 24, 1),
        ]);
        let cheap = Profile::new(vec![window(0, 24, 1)]);
        assert_eq!(cheap.unlike(&day), [window(7, 17, 1)]);
        assert_eq!(day.unlike(&cheap), [window(7, 11, 3), window(11, 17, 2)]);
        assert!(day.unlike(&day).is_empty());
    }
}
