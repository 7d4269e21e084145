//! The functions' binaries, built and laid out as `<function>/bootstrap`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::progress::Progress;

/// Builds every function with one `cargo build` and lays the binaries out below `folder`.
///
/// The whole workspace is built, not the functions alone: so Cargo settles on the same features as
/// `cargo test --workspace` does, and compiles the dependencies once for both.
///
/// # Errors
///
/// When the build fails; its messages are in the error.
pub(super) async fn build(
    workspace: &Path,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<()> {
    let step = progress.begin("built the functions");
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut build = Command::new(cargo)
        .args(["build", "--workspace", "--bins", "--message-format=json-render-diagnostics"])
        .current_dir(workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting cargo")?;
    let (Some(stdout), Some(stderr)) = (build.stdout.take(), build.stderr.take()) else {
        bail!("cargo has no output");
    };
    let said = async {
        let mut lines = BufReader::new(stderr).lines();
        let mut all = String::new();
        while let Some(line) = lines.next_line().await? {
            step.note(&line);
            all = all + &line + "\n";
        }
        anyhow::Ok(all)
    };
    let made = async {
        let mut lines = BufReader::new(stdout).lines();
        let mut binaries = Vec::new();
        while let Some(line) = lines.next_line().await? {
            binaries.extend(function_binary(workspace, &line));
        }
        anyhow::Ok(binaries)
    };
    let (said, binaries) = tokio::try_join!(said, made)?;
    let status = build.wait().await.context("waiting for cargo")?;
    ensure!(status.success(), "the build failed:\n{said}");
    ensure!(!binaries.is_empty(), "the build made no functions");
    for (name, binary) in binaries {
        lay_out(&binary, &folder.join(name))?;
    }
    step.done();
    Ok(())
}

/// The name and the binary, if this message of Cargo's tells of one from `functions/`.
fn function_binary(workspace: &Path, message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let binary = PathBuf::from(message.get("executable")?.as_str()?);
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    manifest.starts_with(workspace.join("functions")).then_some(())?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), binary))
}

/// A hard link, so that nothing is copied; a copy where links cannot be made.
fn lay_out(binary: &Path, folder: &Path) -> anyhow::Result<()> {
    let bootstrap = folder.join("bootstrap");
    let context = || format!("laying out {}", bootstrap.display());
    fs::create_dir_all(folder).with_context(context)?;
    // Made aside and moved in place, so that two platforms can start at once.
    let aside = folder.join(format!("bootstrap.{}", process::id()));
    if fs::hard_link(binary, &aside).is_err() {
        fs::copy(binary, &aside).with_context(context)?;
    }
    fs::rename(&aside, &bootstrap).with_context(context)?;
    // Two names of one file are not moved onto each other.
    let _ = fs::remove_file(&aside);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_binaries_from_the_functions_folder_are_functions() {
        let told = |manifest: &str| {
            let message = serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "target": { "name": "rate-session" },
                "executable": "/w/target/debug/rate-session",
            });
            function_binary(Path::new("/w"), &message.to_string())
        };
        let (name, binary) = told("/w/functions/rate-session/Cargo.toml").unwrap();
        assert_eq!((name.as_str(), binary.ends_with("rate-session")), ("rate-session", true));
        assert!(told("/w/tallywatt/Cargo.toml").is_none());
        assert!(function_binary(Path::new("/w"), r#"{"reason":"build-finished"}"#).is_none());
    }
}
