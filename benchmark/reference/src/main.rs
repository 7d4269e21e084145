//! Prices OCPI 2.2.1 CDRs with `ocpi-tariffs` for whoever writes to standard input.
//!
//! One JSON request a line, one JSON answer a line:
//!
//! - `{"price": {zone, tariff, cdr}}` prices one CDR with one tariff;
//! - `{"load": [{zone, tariff, cdr}, …]}` keeps sessions for the `time` requests that follow;
//! - `{"time": {"from": "json" | "parsed", "rounds": n}}` prices all of them n times and tells how
//!   many nanoseconds of processor time each round took.
//!
//! Tariff and CDR are JSON texts: the crate's public interface reads nothing else.

use std::{
    hint::black_box,
    io::{BufRead, Lines, StdinLock, Write, stdin, stdout},
};

use anyhow::{Context, Result, anyhow, bail};
use chrono_tz::Tz;
use cpu_time::ThreadTime;
use ocpi_tariffs::{
    Money, Price, Version, cdr,
    price::{PeriodReport, Report, TariffSource},
    tariff,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Price(Session),
    Load(Vec<Session>),
    Time { from: From, rounds: usize },
}

#[derive(Deserialize)]
struct Session {
    zone: String,
    tariff: String,
    cdr: String,
}

/// Where a timed round starts.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum From {
    /// From the two JSON texts.
    Json,
    /// From the crate's own parsed trees: as late as its public interface lets anybody start.
    Parsed,
}

/// What a session costs.
#[derive(Serialize)]
struct Answer {
    /// The report's total, rounded to four decimals as the crate does.
    total: Option<Amounts>,
    /// The sum of the periods' costs: neither rounded nor limited by a minimum or maximum price.
    exact: Option<Amounts>,
    /// The warning that stopped it.
    refused: Option<String>,
}

#[derive(Serialize)]
struct Amounts {
    excl_vat: Decimal,
    incl_vat: Option<Decimal>,
}

impl std::convert::From<Price> for Amounts {
    fn from(price: Price) -> Self {
        let decimal = |money: Money| Decimal::from(money);
        Self { excl_vat: decimal(price.excl_vat), incl_vat: price.incl_vat.map(decimal) }
    }
}

fn main() -> Result<()> {
    let mut lines = stdin().lock().lines();
    let mut loaded = Vec::new();
    while let Some(request) = next(&mut lines)? {
        match request {
            Request::Price(session) => answer(&price(&session)?)?,
            Request::Load(sessions) => loaded = sessions,
            Request::Time { from, rounds } => answer(&time(&loaded, from, rounds)?)?,
        }
    }
    Ok(())
}

fn next(lines: &mut Lines<StdinLock<'_>>) -> Result<Option<Request>> {
    let Some(line) = lines.next() else { return Ok(None) };
    serde_json::from_str(&line?).context("not a request").map(Some)
}

fn answer(answer: &impl Serialize) -> Result<()> {
    let mut out = stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush().map_err(Into::into)
}

fn price(session: &Session) -> Result<Answer> {
    let zone = zone(&session.zone)?;
    let cdr = parse_cdr(&session.cdr)?;
    let tariff = parse_tariff(&session.tariff)?;
    let report = match cdr::price(&cdr, TariffSource::single(tariff), zone) {
        Ok(report) => report.ignore_warnings(),
        Err(errors) => {
            let (error, _) = errors.into_parts();
            let refused = Some(error.warning().to_string());
            return Ok(Answer { total: None, exact: None, refused });
        }
    };
    let mut exact: Option<Amounts> = None;
    for cost in report.periods.iter().filter_map(PeriodReport::cost).map(Amounts::from) {
        exact = Some(match exact {
            Some(sum) => Amounts {
                excl_vat: sum.excl_vat + cost.excl_vat,
                incl_vat: sum.incl_vat.zip(cost.incl_vat).map(|(sum, cost)| sum + cost),
            },
            None => cost,
        });
    }
    let total = report.total_cost.calculated.map(Amounts::from);
    Ok(Answer { total, exact, refused: None })
}

/// Nanoseconds of each round.
fn time(sessions: &[Session], from: From, rounds: usize) -> Result<Vec<u128>> {
    match from {
        From::Json => time_from_json(sessions, rounds),
        From::Parsed => time_from_parsed(sessions, rounds),
    }
}

fn time_from_json(sessions: &[Session], rounds: usize) -> Result<Vec<u128>> {
    let zones = sessions.iter().map(|session| zone(&session.zone)).collect::<Result<Vec<_>>>()?;
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = ThreadTime::now();
        for (session, zone) in sessions.iter().zip(&zones) {
            let cdr = parse_cdr(black_box(&session.cdr))?;
            let tariff = parse_tariff(black_box(&session.tariff))?;
            black_box(report(&cdr, TariffSource::single(tariff), *zone)?);
        }
        took.push(began.elapsed().as_nanos());
    }
    Ok(took)
}

fn time_from_parsed(sessions: &[Session], rounds: usize) -> Result<Vec<u128>> {
    let mut parsed = Vec::with_capacity(sessions.len());
    for session in sessions {
        let (cdr, tariff) = (parse_cdr(&session.cdr)?, parse_tariff(&session.tariff)?);
        parsed.push((zone(&session.zone)?, cdr, tariff));
    }
    let mut took = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        // The crate takes tariffs by value; copying them is not pricing, so it is done before.
        let tariffs: Vec<_> = parsed.iter().map(|(_, _, tariff)| tariff.clone()).collect();
        let began = ThreadTime::now();
        for ((zone, cdr, _), tariff) in parsed.iter().zip(tariffs) {
            black_box(report(black_box(cdr), TariffSource::single(tariff), *zone)?);
        }
        took.push(began.elapsed().as_nanos());
    }
    Ok(took)
}

fn report(cdr: &cdr::Versioned<'_>, tariff: TariffSource<'_>, zone: Tz) -> Result<Report> {
    match cdr::price(cdr, tariff, zone) {
        Ok(report) => Ok(report.ignore_warnings()),
        Err(errors) => bail!("{}", errors.into_parts().0.warning()),
    }
}

fn zone(name: &str) -> Result<Tz> {
    name.parse().map_err(|error| anyhow!("{error}"))
}

fn parse_cdr(json: &str) -> Result<cdr::Versioned<'_>> {
    Ok(cdr::parse_with_version(json, Version::V221)?.cdr)
}

fn parse_tariff(json: &str) -> Result<tariff::Versioned<'_>> {
    Ok(tariff::parse_with_version(json, Version::V221)?.tariff)
}
