//! The recorded cases of `events/ocpp`, played together against a platform.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use quantities::{ChargePointId, IdTag, SessionId, SiteId, TransactionId, WattHours};
use serde::Deserialize;
use tokio::task::JoinSet;

use crate::{
    charger::{PlayOptions, PlayReport, Recording, play},
    network::Network,
    platform::Platform,
};

/// One recorded case and what must come of it (`case.json`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Its name, which is its folder's.
    pub name: String,
    /// What it shows, in a sentence.
    pub shows: String,
    /// The charger that plays it.
    pub charge_point_id: ChargePointId,
    /// Where that charger stands.
    pub site: SiteId,
    /// The tag it shows.
    pub id_tag: IdTag,
    /// The tier of the tag; none is retail.
    #[serde(default)]
    pub tier: Option<String>,
    /// `roaming` where a partner pays; none is a card.
    #[serde(default)]
    pub payer: Option<String>,
    /// Energy that flows, where it is known.
    #[serde(default)]
    pub energy_wh: Option<i64>,
    /// `rated` or `exception`.
    pub outcome: String,
    /// The reasons of the exceptions that must come of it.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// Where it is.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Case {
    /// Reads the case in `folder`.
    ///
    /// # Errors
    ///
    /// When its `case.json` cannot be read.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("case.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let case: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), ..case })
    }

    /// Reads every case below `folder`, in order of their names.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or there is none.
    pub fn read_all(folder: &Path) -> anyhow::Result<Vec<Self>> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        let mut cases = Vec::new();
        for entry in entries {
            cases.push(Self::read(&entry?.path())?);
        }
        ensure!(!cases.is_empty(), "no recorded session in {}", folder.display());
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cases)
    }

    /// The energy that flows, where it is known.
    #[must_use]
    pub fn energy(&self) -> Option<WattHours> {
        self.energy_wh.map(WattHours::from)
    }
}

/// A case that was played.
#[derive(Debug, Clone)]
pub struct Played {
    /// The case.
    pub case: Case,
    /// What the charger saw.
    pub report: PlayReport,
    /// Its session, when it was given a transaction.
    pub session_id: Option<SessionId>,
}

/// How cases are played.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How often every call is sent.
    pub repeat: u8,
    /// How often a call is sent again when its answer does not come.
    pub attempts_max: u32,
}

impl Default for Manner {
    fn default() -> Self {
        Self { repeat: 1, attempts_max: 20 }
    }
}

/// Plays all `cases` at once, each with its own charger; `done` is told of each that is through.
///
/// # Errors
///
/// When a charger is refused, or its session cannot be played to the end.
pub async fn play_all(
    platform: &Platform,
    network: &Network,
    cases: &[Case],
    manner: Manner,
    mut done: impl FnMut(&Played),
) -> anyhow::Result<Vec<Played>> {
    let mut playing = JoinSet::new();
    for case in cases.iter().cloned() {
        let options = options(platform, network, &case, manner)?;
        playing.spawn(async move {
            let report = play(options).await;
            report
                .map(|report| (case.clone(), report))
                .with_context(|| format!("playing {}", case.name))
        });
    }
    let mut all = Vec::new();
    while let Some(played) = playing.join_next().await {
        let (case, report) = played.context("a charger stopped")??;
        let session_id = session_of(&case.charge_point_id, &report)?;
        let played = Played { case, report, session_id };
        done(&played);
        all.push(played);
    }
    all.sort_by(|a, b| a.case.name.cmp(&b.case.name));
    Ok(all)
}

fn options(
    platform: &Platform,
    network: &Network,
    case: &Case,
    manner: Manner,
) -> anyhow::Result<PlayOptions> {
    let recording = Recording::read(&case.folder)?;
    let id = case.charge_point_id.as_str();
    let password = network.password(&case.charge_point_id)?;
    let mut options = PlayOptions::new(platform.charger_url()?, id, password, recording);
    options.repeat = manner.repeat;
    options.attempts_max = manner.attempts_max;
    Ok(options)
}

/// The session that the report of a charger tells of.
pub(crate) fn session_of(
    charger: &ChargePointId,
    report: &PlayReport,
) -> anyhow::Result<Option<SessionId>> {
    let Some(transaction) = report.transactions.first() else { return Ok(None) };
    let number = i32::try_from(transaction.transaction_id).context("a transactionId of 64 bits")?;
    Ok(Some(SessionId::of(charger, TransactionId(number))))
}
