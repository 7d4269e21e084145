//! What a storm is shown as.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use quantities::{Amount, Currency};
use serde::Serialize;
use stripe_twin::FaultKind;

use super::{
    Outcome,
    kind::{Ending, Kind},
    verdict::Evidence,
    weather::Toll,
};

/// Visits by kind and ending, and money by currency.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    visits: Vec<Row>,
    money: BTreeMap<String, Money>,
}

#[derive(Debug, Serialize)]
struct Row {
    kind: Kind,
    visits: usize,
    endings: BTreeMap<Ending, usize>,
}

/// What became of the money of one currency.
#[derive(Debug, Clone, Copy, Serialize)]
struct Money {
    charged: Amount,
    captured: Amount,
    owed: Amount,
    waived: Amount,
    /// Owed by partners.
    by_partners: Amount,
    /// Owed by accounts.
    by_invoice: Amount,
    /// Of what was captured.
    given_back: Amount,
}

impl Money {
    const fn none(currency: Currency) -> Self {
        let zero = Amount::zero(currency);
        Self {
            charged: zero,
            captured: zero,
            owed: zero,
            waived: zero,
            by_partners: zero,
            by_invoice: zero,
            given_back: zero,
        }
    }

    fn lines(self) -> [(&'static str, Amount); 7] {
        [
            ("charged", self.charged),
            ("captured", self.captured),
            ("owed", self.owed),
            ("waived", self.waived),
            ("owed by partners", self.by_partners),
            ("owed by accounts", self.by_invoice),
            ("given back", self.given_back),
        ]
    }
}

impl Table {
    /// Counts.
    ///
    /// # Errors
    ///
    /// When amounts do not add up.
    pub(super) fn of(evidence: &Evidence) -> anyhow::Result<Self> {
        let mut rows: BTreeMap<Kind, Row> = BTreeMap::new();
        let mut money: BTreeMap<String, Money> = BTreeMap::new();
        for visited in evidence.visits {
            let kind = visited.visit.kind;
            let row = match rows.entry(kind) {
                Entry::Occupied(row) => row.into_mut(),
                Entry::Vacant(row) => row.insert(Row { kind, visits: 0, endings: BTreeMap::new() }),
            };
            row.visits += 1;
            if let Some(ending) = evidence.ending(visited) {
                *row.endings.entry(ending).or_default() += 1;
            }
            let Some(rows) = evidence.rows(visited) else { continue };
            let Some(rated) = &rows.rated else { continue };
            let total = rated.gross();
            let currency = total.currency;
            let sums =
                money.entry(currency.code().to_owned()).or_insert_with(|| Money::none(currency));
            sums.charged = sums.charged.checked_add(total)?;
            match &rows.payment {
                Some(payment) => {
                    sums.captured = sums.captured.checked_add(payment.captured)?;
                    sums.owed = sums.owed.checked_add(payment.owed)?;
                    let forgiven = payment.waived.checked_add(payment.written_off)?;
                    sums.waived = sums.waived.checked_add(forgiven)?;
                    for refund in &payment.refunds {
                        sums.given_back = sums.given_back.checked_add(refund.amount)?;
                    }
                }
                None if rows.payer == "account" => {
                    sums.by_invoice = sums.by_invoice.checked_add(total)?;
                }
                None => sums.by_partners = sums.by_partners.checked_add(total)?,
            }
        }
        Ok(Self { visits: rows.into_values().collect(), money })
    }
}

const FAULTS: [(FaultKind, &str); 8] = [
    (FaultKind::RateLimit, "429, rate limit"),
    (FaultKind::LockTimeout, "409, lock timeout"),
    (FaultKind::ServerError, "500 instead of the work"),
    (FaultKind::ServerErrorAfterWrite, "500 after the work"),
    (FaultKind::BadGateway, "502, a page in HTML"),
    (FaultKind::ResetBefore, "connection broken before the work"),
    (FaultKind::ResetAfter, "connection broken after the work"),
    (FaultKind::Slow, "slow, half of them too slow"),
];

const ENDINGS: [(Ending, &str); 9] = [
    (Ending::Paid, "paid"),
    (Ending::PartlyOwed, "partly"),
    (Ending::Owed, "owed"),
    (Ending::NothingDue, "nothing"),
    (Ending::GivenBack, "back"),
    (Ending::PartGivenBack, "part back"),
    (Ending::ByPartner, "partner"),
    (Ending::ByInvoice, "invoice"),
    (Ending::NoSession, "none"),
];

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, seed, seconds, again, toll, table, checks } = self;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        writeln!(f, "\n{sessions} visits, seed {seed}, {minutes} min {seconds:02} s\n")?;
        write!(f, "{toll}{table}")?;
        writeln!(
            f,
            "\n{again} messages and payments were left for the operator to send round again."
        )?;
        writeln!(f, "\nClosing check")?;
        checks.iter().try_for_each(|check| {
            let mark = if check.ok { "ok    " } else { "FAILED" };
            writeln!(f, "  {mark} {}: {}", check.name, check.detail)
        })
    }
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, count: u64, of: u64| {
            let tenths = (count * 2_000 + of) / (2 * of).max(1);
            writeln!(f, "{name:<36} {count:>7} {:>5}.{} %", tenths / 10, tenths % 10)
        };
        writeln!(f, "{:<36} {:>7}", "Requests to Stripe", self.requests)?;
        for (kind, name) in FAULTS {
            let key = serde_json::to_value(kind).unwrap_or_default();
            let count = key.as_str().and_then(|key| self.faults.get(key)).copied();
            line(f, &format!("  {name}"), count.unwrap_or_default(), self.requests)?;
        }
        writeln!(f, "{:<36} {:>7}", "Webhooks from Stripe", self.events)?;
        line(f, "  lost", self.lost, self.events)?;
        line(f, "  doubled", self.doubled, self.events)?;
        line(f, "  overtaken by a later one", self.overtaken, self.events)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<32} {:>7}", "Visits", "")?;
        for (_, name) in ENDINGS {
            write!(f, " {name:>9}")?;
        }
        writeln!(f)?;
        for Row { kind, visits, endings } in &self.visits {
            write!(f, "  {:<30} {visits:>7}", kind.name())?;
            for (ending, _) in ENDINGS {
                match endings.get(&ending) {
                    Some(count) => write!(f, " {count:>9}")?,
                    None => write!(f, " {:>9}", "")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f, "\nMoney")?;
        let lines = self.money.values().map(|money| money.lines());
        let lines: Vec<_> = lines.collect();
        for (at, (name, _)) in Money::none(Currency::EUR).lines().into_iter().enumerate() {
            write!(f, "  {name:<18}")?;
            for amounts in &lines {
                let amount = amounts.get(at).map(|(_, amount)| amount.to_string());
                write!(f, " {:>14}", amount.unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
