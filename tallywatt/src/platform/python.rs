//! The project's own Python environment, with the emulator in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::progress::Progress;

/// The interpreter of an environment that has exactly `requirements` installed. Made once per
/// content of that file, below `folder`.
///
/// # Errors
///
/// When there is no Python 3, or pip cannot install.
pub(super) async fn interpreter(
    requirements: &Path,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let wanted =
        fs::read(requirements).with_context(|| format!("reading {}", requirements.display()))?;
    let digest = hex::encode(&Sha256::digest(&wanted)[..6]);
    let home = folder.join(format!("venv-{digest}"));
    let python = home.join("bin/python");
    if python.exists() {
        return Ok(python);
    }

    let step = progress.begin("installed the emulator into a Python environment of its own");
    // Under another name until it is complete: an interrupted installation is never used.
    let half = tempfile::Builder::new().prefix("venv-").tempdir_in(folder)?;
    let base = env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    run(Command::new(&base).args(["-m", "venv"]).arg(half.path())).await?;
    let pip = half.path().join("bin/python");
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(pip).args(install).arg(requirements)).await?;
    // Somebody else may have been quicker: theirs is as good, and ours is removed.
    if fs::rename(half.path(), &home).is_ok() {
        let _ = half.keep();
    }
    ensure!(python.exists(), "{} was not made", python.display());
    step.done();
    Ok(python)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{:?}", command.as_std());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("starting {shown} (is Python 3 installed?)"))?;
    let says = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} failed:\n{says}");
    Ok(())
}
