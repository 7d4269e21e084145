//! Walks along a course, stops wherever a price can change, and notes which component applies.

use chrono::{DateTime, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

use crate::{
    FindingCode, RatingError, SegmentKind,
    candidates::List,
    compile::{Bounds, Compiled, Holds, Moment},
    exact::{reaches, tenths, to_wh},
    local::{check_calendar, local, moments},
    stretch::{Course, Findings, Powers, Stretch, moment},
    terms::Idle,
};

/// The longest session that is priced, in milliseconds: a leap year.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// How often a component may be asked whether it applies: seconds of work.
const LOOK_UPS_MAX: usize = 500_000_000;
/// Most sessions have fewer runs than this.
const RUNS: usize = 4;

/// A part of the session with one kind and one set of components: a segment in the making.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) kind: SegmentKind,
    pub(crate) time_ms: i64,
    /// The session's energy at its start, in millionths of a Wh.
    pub(crate) from_uwh: i64,
    /// And at its end.
    pub(crate) to_uwh: i64,
    pub(crate) power_kw: Bounds,
    power_band: (usize, usize),
    /// The components that apply, as indexes into [`Compiled::components`].
    pub(crate) energy: Option<usize>,
    pub(crate) time: Option<usize>,
    /// A flat fee that falls due with this run.
    pub(crate) flat: Option<usize>,
    pub(crate) billable: bool,
}

impl Run {
    /// Its energy, in millionths of a Wh.
    pub(crate) const fn uwh(&self) -> i64 {
        self.to_uwh.saturating_sub(self.from_uwh)
    }

    fn continues(&self, next: &Self) -> bool {
        self.kind == next.kind
            && self.energy == next.energy
            && self.time == next.time
            && self.power_band == next.power_band
            && self.billable == next.billable
            && next.flat.is_none()
    }
}

/// The runs of `course` under `tariff`, in order of time.
///
/// # Errors
///
/// [`RatingError`].
pub(crate) fn walk(
    tariff: &Compiled,
    course: &mut Course,
    zone: Tz,
    idle: &Idle<'_>,
) -> Result<Vec<Run>, RatingError> {
    let cuts = cuts(tariff, course, zone, idle)?;
    check_size(tariff, course, &cuts)?;
    let mut walker = Walker {
        tariff,
        zone,
        idle,
        cuts,
        next_cut: 0,
        grace_left_ms: idle.grace_ms,
        total_uwh: course.stretches.last().map_or(0, |stretch| stretch.to.uwh),
        rises: false,
        next_threshold: 0,
        choice: None,
        reserved_from_ms: course.stretches.first().map_or(0, |stretch| stretch.start_ms),
        session_start_ms: course.session_start_ms,
        reservation_expired: course.reservation_expired,
        stated: course.stated,
        due: Due {
            flat: !tariff.flat.is_empty(),
            reservation_flat: !tariff.reservation_flat.is_empty(),
        },
        runs: Vec::with_capacity(RUNS),
    };
    for stretch in &course.stretches {
        if !walker.pass(stretch) {
            walker.stretch(stretch, &mut course.findings)?;
        }
    }
    Ok(walker.runs)
}

/// Refuses what would take minutes: nobody sells by that many prices.
fn check_size(tariff: &Compiled, course: &Course, cuts: &[i64]) -> Result<(), RatingError> {
    let changes = cuts.len() + tariff.energies_uwh.len() + course.stretches.len();
    let components = tariff.most_candidates();
    if changes.saturating_mul(components) > LOOK_UPS_MAX {
        return Err(RatingError::TooManyPrices { changes, components });
    }
    Ok(())
}

/// The moments at which a price can change because of time alone.
fn cuts(
    tariff: &Compiled,
    course: &Course,
    zone: Tz,
    idle: &Idle<'_>,
) -> Result<Vec<i64>, RatingError> {
    let (Some(first), Some(last)) = (course.stretches.first(), course.stretches.last()) else {
        return Ok(Vec::new());
    };
    check_calendar(first.start_ms)?;
    check_calendar(last.end_ms)?;
    let span = || (moment(first.start_ms), moment(last.end_ms));
    if last.end_ms - first.start_ms > LONGEST_MS {
        let (started_at, ended_at) = span();
        return Err(RatingError::TooLong { started_at, ended_at });
    }
    let mut cuts = Vec::new();
    if tariff.is_local() {
        let ((start, end), mut found) = (span(), Vec::new());
        moments(zone, start, end, &tariff.local_times, &mut found);
        cuts.extend(found.iter().map(DateTime::timestamp_millis));
    }
    if idle.is_local() {
        let times: Vec<NaiveTime> = idle.times().chain([NaiveTime::MIN]).collect();
        let ((start, end), mut found) = (span(), Vec::new());
        moments(zone, start, end, &times, &mut found);
        cuts.extend(found.iter().map(DateTime::timestamp_millis));
    }
    let after = |from_ms: i64| {
        tariff.durations_s.iter().map(move |duration_s| from_ms + i64::from(*duration_s) * 1000)
    };
    cuts.extend(after(course.session_start_ms));
    // How long a reservation lasts is counted from its own start.
    cuts.extend(after(first.start_ms).filter(|cut| *cut < course.session_start_ms));
    cuts.retain(|cut| first.start_ms < *cut && *cut < last.end_ms);
    cuts.sort_unstable();
    cuts.dedup();
    Ok(cuts)
}

struct Walker<'a> {
    tariff: &'a Compiled,
    zone: Tz,
    idle: &'a Idle<'a>,
    cuts: Vec<i64>,
    next_cut: usize,
    grace_left_ms: i64,
    /// All of the session's energy.
    total_uwh: i64,
    /// Whether energy flowed right before the position that is priced.
    rises: bool,
    /// The next of the energies at which a price can change.
    next_threshold: usize,
    choice: Option<Choice>,
    /// Where the reservation begins, if there is one.
    reserved_from_ms: i64,
    session_start_ms: i64,
    reservation_expired: bool,
    stated: bool,
    due: Due,
    runs: Vec<Run>,
}

/// The fees that fall due once.
struct Due {
    flat: bool,
    reservation_flat: bool,
}

/// A position on a stretch.
#[derive(Clone, Copy)]
struct Position {
    at_ms: i64,
    uwh: i64,
    time_ms: i64,
}

/// What rules ask about, between two cuts and two thresholds of energy.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    next_cut: usize,
    next_threshold: usize,
    kind: SegmentKind,
    /// Power and current, where any rule asks about them.
    power: Option<Powers>,
    needs_energy: bool,
    needs_time: bool,
}

/// The components that apply for as long as nothing changes that a rule asks about.
#[derive(Debug, Clone, Copy)]
struct Choice {
    asked: Asked,
    energy: Option<usize>,
    time: Option<usize>,
}

impl Walker<'_> {
    /// Lets the last run go on over all of `stretch`, where nothing can change within it that a
    /// rule asks about. That is the usual case, and the quick one.
    fn pass(&mut self, stretch: &Stretch) -> bool {
        let (Some(choice), Some(last)) = (&self.choice, self.runs.last()) else { return false };
        let asks = self.tariff.depends_on_power || !self.tariff.energies_uwh.is_empty();
        let is_plain = stretch.kind != SegmentKind::Idle && stretch.billable && last.billable;
        let cut = self.cuts.get(self.next_cut);
        let is_cut = cut.is_some_and(|cut| *cut <= stretch.start_ms || *cut < stretch.end_ms);
        if asks || !is_plain || is_cut {
            return false;
        }
        let to_uwh = self.energy_at(stretch, stretch.end_ms).max(last.to_uwh);
        let rises = to_uwh != last.to_uwh;
        let asked = &choice.asked;
        let same = (asked.next_cut, asked.kind) == (self.next_cut, stretch.kind)
            && (asked.needs_energy, asked.needs_time) == (rises, stretch.time_ms > 0);
        let Some(last) = self.runs.last_mut().filter(|_| same) else { return false };
        last.end_ms = stretch.end_ms;
        last.to_uwh = to_uwh;
        last.time_ms += stretch.time_ms;
        self.rises = rises;
        true
    }

    fn stretch(&mut self, stretch: &Stretch, findings: &mut Findings) -> Result<(), RatingError> {
        let start_uwh = self.runs.last().map_or(stretch.from.uwh, |run| run.to_uwh);
        let mut here = Position { at_ms: stretch.start_ms, uwh: start_uwh, time_ms: 0 };
        let mut is_first = true;
        loop {
            let (there, kind) = self.next_stop(stretch, here);
            let asked = self.asked(stretch, here, there, kind);
            let is_new = !self.extend(&asked, stretch, here, there) && {
                let run = self.price(asked, stretch, here, there)?;
                self.push(run)
            };
            if is_new && !is_first && self.stated {
                let detail = "a price changes within a period; its volumes are split evenly";
                findings.note(FindingCode::PeriodSplit, moment(here.at_ms), detail);
            }
            is_first = false;
            here = there;
            if here.at_ms >= stretch.end_ms && here.uwh >= self.energy_at(stretch, here.at_ms) {
                return Ok(());
            }
        }
    }

    /// The next position at which something can change, and what the vehicle does until then.
    fn next_stop(&mut self, stretch: &Stretch, here: Position) -> (Position, SegmentKind) {
        while self.cuts.get(self.next_cut).is_some_and(|cut| *cut <= here.at_ms) {
            self.next_cut += 1;
        }
        let thresholds = &self.tariff.energies_uwh;
        while thresholds.get(self.next_threshold).is_some_and(|uwh| *uwh <= here.uwh) {
            self.next_threshold += 1;
        }
        let mut stop_ms = stretch.end_ms;
        if let Some(cut) = self.cuts.get(self.next_cut) {
            stop_ms = stop_ms.min(*cut);
        }
        let is_idle = stretch.kind == SegmentKind::Idle;
        let is_quiet = is_idle
            && self.idle.is_local()
            && self.idle.is_quiet(local(self.zone, moment(here.at_ms)));
        let in_grace = is_idle && !is_quiet && self.grace_left_ms > 0;
        if in_grace {
            stop_ms = stop_ms.min(here.at_ms.saturating_add(self.grace_left_ms));
        }
        let mut uwh = self.energy_at(stretch, stop_ms).max(here.uwh);
        if let Some(threshold) = thresholds.get(self.next_threshold)
            && *threshold < stretch.energy_at(stop_ms)
        {
            let reached_ms = reaches(stretch.from, stretch.to, *threshold);
            stop_ms = reached_ms.clamp(here.at_ms, stop_ms);
            uwh = *threshold;
        }
        let kind = match stretch.kind {
            SegmentKind::Idle if is_quiet => SegmentKind::Quiet,
            SegmentKind::Idle if in_grace => SegmentKind::Grace,
            kind => kind,
        };
        if in_grace {
            self.grace_left_ms -= stop_ms - here.at_ms;
        }
        (Position { at_ms: stop_ms, uwh, time_ms: stretch.time_until(stop_ms) }, kind)
    }

    /// The energy at `at_ms` that can be billed: whole tenths of a Wh, as a CDR states them, until
    /// the last Wh has flowed. That a reading is at hand for the moment makes no difference: reading
    /// a meter more often must not change a price. Rounded down, it is on the same side of every
    /// threshold as what has flowed. What a CDR's period states is left as it is.
    fn energy_at(&self, stretch: &Stretch, at_ms: i64) -> i64 {
        let uwh = stretch.energy_at(at_ms);
        let exact = if self.stated { at_ms >= stretch.end_ms } else { uwh >= self.total_uwh };
        if exact { uwh } else { tenths(uwh) }
    }

    /// What rules ask about at `here`.
    fn asked(
        &self,
        stretch: &Stretch,
        here: Position,
        there: Position,
        kind: SegmentKind,
    ) -> Asked {
        Asked {
            next_cut: self.next_cut,
            next_threshold: self.next_threshold,
            kind,
            power: self.tariff.depends_on_power.then(|| stretch.powers()),
            needs_energy: there.uwh != here.uwh,
            needs_time: there.time_ms > here.time_ms,
        }
    }

    /// Lets the last run go on from `here` to `there`, if nothing has changed. That is the usual
    /// case, and the quick one.
    fn extend(
        &mut self,
        asked: &Asked,
        stretch: &Stretch,
        here: Position,
        there: Position,
    ) -> bool {
        let same = self.choice.as_ref().is_some_and(|choice| choice.asked == *asked);
        if !same || !stretch.billable || self.is_boundary(here.at_ms, here.uwh) {
            return false;
        }
        let Some(last) = self.runs.last_mut().filter(|last| last.billable) else { return false };
        last.end_ms = there.at_ms;
        last.to_uwh = there.uwh;
        last.time_ms += there.time_ms - here.time_ms;
        if let Some(powers) = asked.power {
            last.power_kw = widest(last.power_kw, powers.power_kw);
        }
        self.rises = asked.needs_energy;
        true
    }

    /// The run from `here` to `there`, with the components that apply at its start.
    fn price(
        &mut self,
        asked: Asked,
        stretch: &Stretch,
        here: Position,
        there: Position,
    ) -> Result<Run, RatingError> {
        let powers = asked.power.unwrap_or_default();
        let mut run = Run {
            start_ms: here.at_ms,
            end_ms: there.at_ms,
            kind: asked.kind,
            time_ms: there.time_ms - here.time_ms,
            from_uwh: here.uwh,
            to_uwh: there.uwh,
            power_kw: powers.power_kw,
            power_band: self.tariff.power_band(powers.power_kw),
            energy: None,
            time: None,
            flat: None,
            billable: stretch.billable,
        };
        if !stretch.billable {
            return Ok(run);
        }
        match self.choice.filter(|choice| choice.asked == asked) {
            // A fee that was not due then is not due now.
            Some(choice) => (run.energy, run.time) = (choice.energy, choice.time),
            None => self.choose(asked, here, &mut run)?,
        }
        Ok(run)
    }

    /// Finds the components that apply to `run`, from `here` on.
    fn choose(&mut self, asked: Asked, here: Position, run: &mut Run) -> Result<(), RatingError> {
        let tariff = self.tariff;
        let moment = self.moment_at(&asked, here);
        let pick = |list, needed| first_match(tariff, list, &moment, here.at_ms, needed);
        run.energy = pick(&tariff.energy, asked.needs_energy)?;
        run.time = match asked.kind {
            SegmentKind::Charging => pick(&tariff.time, asked.needs_time)?,
            SegmentKind::Idle => pick(&tariff.parking, asked.needs_time)?,
            SegmentKind::Reservation => pick(&tariff.reservation_time, asked.needs_time)?,
            SegmentKind::Grace
            | SegmentKind::Quiet
            | SegmentKind::Operator
            | SegmentKind::Unstated => None,
        };
        if asked.kind == SegmentKind::Reservation && self.due.reservation_flat {
            run.flat = pick(&tariff.reservation_flat, true)?;
            self.due.reservation_flat = run.flat.is_none();
        } else if asked.kind != SegmentKind::Reservation && self.due.flat {
            run.flat = pick(&tariff.flat, true)?;
            self.due.flat = run.flat.is_none();
        }
        self.choice = Some(Choice { asked, energy: run.energy, time: run.time });
        Ok(())
    }

    fn moment_at(&self, asked: &Asked, here: Position) -> Moment {
        let powers = asked.power.unwrap_or_default();
        let is_reserved = asked.kind == SegmentKind::Reservation;
        let from_ms = if is_reserved { self.reserved_from_ms } else { self.session_start_ms };
        Moment {
            local: if self.tariff.is_local() {
                local(self.zone, moment(here.at_ms))
            } else {
                // Nobody asks.
                NaiveDateTime::default()
            },
            elapsed_ms: (here.at_ms - from_ms).max(0),
            energy_wh: to_wh(here.uwh),
            power_kw: powers.power_kw,
            current_a: powers.current_a,
            reservation_expired: self.reservation_expired,
        }
    }

    /// Whether a run has to end at its start, even if the price stays the same. Where a tariff asks
    /// for energy and for time, it matters which threshold is reached first; a CDR whose period
    /// went over both would leave that to its reader's interpolation.
    fn is_boundary(&self, start_ms: i64, from_uwh: i64) -> bool {
        let energies = &self.tariff.energies_uwh;
        !energies.is_empty()
            && !self.cuts.is_empty()
            && (self.cuts.binary_search(&start_ms).is_ok()
                || (self.rises && energies.binary_search(&from_uwh).is_ok()))
    }

    /// Appends `run`, joined to the last one where nothing changes. Returns whether it is new.
    fn push(&mut self, run: Run) -> bool {
        let is_boundary = self.is_boundary(run.start_ms, run.from_uwh);
        self.rises = run.to_uwh != run.from_uwh;
        if let Some(last) = self.runs.last_mut()
            && last.continues(&run)
            && !is_boundary
        {
            last.end_ms = run.end_ms;
            last.to_uwh = run.to_uwh;
            last.time_ms += run.time_ms;
            if self.tariff.uses_power() {
                last.power_kw = widest(last.power_kw, run.power_kw);
            }
            return false;
        }
        self.runs.push(run);
        true
    }
}

fn widest(left: Bounds, right: Bounds) -> Bounds {
    let low = left.low.into_iter().chain(right.low).min();
    let high = left.high.into_iter().chain(right.high).max();
    Bounds { low, high }
}

/// The first component of `list` that applies at `moment`. Not knowing is an error only when
/// something `needed` hangs on it.
fn first_match(
    tariff: &Compiled,
    list: &List,
    at: &Moment,
    at_ms: i64,
    needed: bool,
) -> Result<Option<usize>, RatingError> {
    for index in list.candidates(at) {
        let Some(component) = tariff.components.get(*index) else { continue };
        let holds = if component.always { Holds::Yes } else { component.rule.holds(at) };
        match holds {
            Holds::Yes => return Ok(Some(*index)),
            Holds::No => {}
            Holds::Unknown(_) if !needed => return Ok(None),
            Holds::Unknown(what) => {
                let (element, at) = (component.element, moment(at_ms));
                return Err(RatingError::Unknown { element, what, at });
            }
        }
    }
    Ok(None)
}
