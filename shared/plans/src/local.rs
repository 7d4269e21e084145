//! Local days in universal time.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The first moment of `date` in `zone`, which is not midnight where the clocks skip that. `None`
/// beyond the years that can be told.
pub(crate) fn first_moment(date: NaiveDate, zone: Tz) -> Option<DateTime<Utc>> {
    let midnight = date.and_time(NaiveTime::MIN);
    let quarters = (0..96).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
    let mut told = quarters.filter_map(|local| zone.from_local_datetime(&local).earliest());
    told.next().map(|moment| moment.to_utc())
}
