//! The terms beside a tariff, as the document describes what [`rating::Terms`] reads and writes.

use rust_decimal::Decimal;
use utoipa::ToSchema;

/// The terms beside a tariff.
#[derive(ToSchema)]
#[schema(as = Terms)]
#[expect(dead_code, reason = "only describes `rating::Terms`")]
pub(crate) struct TermsBody {
    /// When idle time is billed, and how much of it at most.
    #[schema(required = false)]
    idle: IdleBody,
}

/// Terms of the idle fee. The operator's own time (SuspendedEVSE, a fault) is never idle time.
#[derive(ToSchema)]
#[schema(as = IdleTerms)]
#[expect(dead_code, reason = "only describes `rating::IdleTerms`")]
pub(crate) struct IdleBody {
    /// The first seconds of a session's idle time that cost nothing.
    #[schema(required = false)]
    grace_s: u32,
    /// The most that all idle time of a session costs: major units in the tariff's currency, with
    /// tax or without as the tariff's prices are.
    #[schema(value_type = Option<f64>, example = 20)]
    cap: Option<Decimal>,
    /// Hours in which idle time costs nothing, such as at night.
    #[schema(required = false)]
    quiet_hours: Vec<QuietHoursBody>,
}

/// A daily window in the site's local time.
#[derive(ToSchema)]
#[schema(as = QuietHours)]
#[expect(dead_code, reason = "only describes `rating::QuietHours`")]
pub(crate) struct QuietHoursBody {
    /// Its start.
    #[schema(example = "22:00")]
    start: String,
    /// Its end, exclusive. At or before `start` it is on the next day.
    #[schema(example = "07:00")]
    end: String,
    /// The days that it starts on, as OCPI spells them; none: all.
    #[schema(required = false, example = json!(["SATURDAY", "SUNDAY"]))]
    days: Vec<String>,
}
