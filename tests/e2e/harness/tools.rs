//! Other people's programs that tests run: Python and Node, with what they need installed once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Stdio},
};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};
use tallywatt::platform::workspace;
use tokio::process::Command;

/// What a program wrote to standard output; an error with all it wrote when it fails.
pub(crate) async fn run(command: &mut Command) -> anyhow::Result<String> {
    let (code, out, err) = outcome(command).await?;
    if code != Some(0) {
        bail!("{:?} failed:\n{out}\n{err}", command.as_std());
    }
    Ok(out)
}

/// A program's exit code, standard output and standard error.
pub(crate) async fn outcome(
    command: &mut Command,
) -> anyhow::Result<(Option<i32>, String, String)> {
    let shown = format!("{:?}", command.as_std());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("starting {shown}: is it installed?"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
}

/// Our own command, as the platform has just built it.
pub(crate) fn tallywatt() -> anyhow::Result<Command> {
    let here = env::current_exe()?;
    let built = here.ancestors().find(|folder| folder.join("tallywatt").is_file());
    Ok(Command::new(built.context("tallywatt is not built")?.join("tallywatt")))
}

fn folder() -> anyhow::Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| workspace().join("target"));
    let folder = workspace().join(target).join("tests");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

fn digest(text: &[u8]) -> String {
    hex::encode(Sha256::digest(text)).chars().take(12).collect()
}

/// A Python that has `requirements`, in an environment of its own below target/.
pub(crate) async fn python(requirements: &[u8]) -> anyhow::Result<PathBuf> {
    let home = folder()?.join(format!("venv-{}", digest(requirements)));
    let python = home.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    // Under another name until it is complete: an interrupted installation is never used.
    let half = home.with_extension(process::id().to_string());
    run(Command::new("python3").args(["-m", "venv"]).arg(&half)).await?;
    let list = half.join("requirements.txt");
    fs::write(&list, requirements)?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(half.join("bin/python")).args(install).arg(&list)).await?;
    fs::rename(&half, &home).context("moving the environment to its place")?;
    ensure!(python.exists(), "{} was not made", python.display());
    Ok(python)
}

/// Installs the Node packages that `package` locks, below target/; gives their `node_modules`.
pub(crate) async fn node_modules(package: &Path) -> anyhow::Result<PathBuf> {
    let lock = fs::read(package.join("package-lock.json"))?;
    let home = folder()?.join(format!("node-{}", digest(&lock)));
    let modules = home.join("node_modules");
    if modules.exists() {
        return Ok(modules);
    }
    let half = home.with_extension(process::id().to_string());
    fs::create_dir_all(&half)?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(package.join(file), half.join(file))?;
    }
    let arguments = ["ci", "--silent", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(arguments).current_dir(&half)).await?;
    fs::rename(&half, &home).context("moving the packages to their place")?;
    Ok(modules)
}
