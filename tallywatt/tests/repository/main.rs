//! What must be true of the repository itself: its borders, and that its parts name each other.

mod borders;
mod ocpp_path;
mod template;

use std::{fs, path::PathBuf};

use anyhow::Context as _;

/// The workspace's root.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("reading {path}"))
}

/// The names in a folder, sorted.
fn folder(path: &str) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join(path)).with_context(|| format!("reading {path}"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
