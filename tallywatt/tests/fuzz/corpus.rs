//! The files that inputs are made from: every priced case and every recorded session.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a tariff is priced against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An OCPI CDR.
    Cdr,
    /// A timeline.
    Timeline,
    /// A recorded session.
    Recording,
}

/// A tariff and what it is priced against.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) tariff: String,
    pub(crate) happened: String,
}

fn events() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn folders(below: &str) -> Vec<PathBuf> {
    let found = fs::read_dir(events().join(below)).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = found.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// Every priced case, and every recording with the tariff of one of them.
pub(crate) fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for folder in folders("rating") {
        let Ok(tariff) = fs::read_to_string(folder.join("tariff.json")) else { continue };
        for (file, kind) in [("cdr.json", Kind::Cdr), ("timeline.json", Kind::Timeline)] {
            if let Ok(happened) = fs::read_to_string(folder.join(file)) {
                pairs.push(Pair { name: name(&folder), kind, tariff: tariff.clone(), happened });
            }
        }
    }
    let tariffs: Vec<String> = pairs.iter().map(|pair| pair.tariff.clone()).collect();
    for (folder, tariff) in folders("ocpp").iter().zip(tariffs) {
        let happened = fs::read_to_string(folder.join("frames.jsonl")).unwrap();
        pairs.push(Pair { name: name(folder), kind: Kind::Recording, tariff, happened });
    }
    assert!(pairs.iter().any(|pair| pair.kind == Kind::Recording), "no recordings: nothing to try");
    assert!(pairs.len() > 30, "{} cases are too few to prove anything", pairs.len());
    pairs
}

/// Every plan of a priced case.
pub(crate) fn plans() -> Vec<String> {
    let folders = folders("rating");
    let plans = folders.iter().map(|folder| fs::read_to_string(folder.join("plan.json")));
    let plans: Vec<String> = plans.filter_map(Result::ok).collect();
    assert!(!plans.is_empty(), "no plans: nothing to try");
    plans
}
