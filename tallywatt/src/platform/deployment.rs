//! The template's deployment, by `infra/local/deploy.py`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{Aws, Places, Progress};

/// What is deployed.
pub(super) struct Deployment<'a> {
    pub(super) stack: &'a str,
    pub(super) parameters: &'a BTreeMap<String, String>,
    /// Has `<function>/bootstrap`.
    pub(super) artifacts: &'a PathBuf,
    /// Whether the bucket is in the memory of an emulator of ours.
    pub(super) local: bool,
}

impl Deployment<'_> {
    /// Gives the stack's outputs.
    pub(super) async fn run(
        &self,
        python: &Path,
        places: &Places,
        aws: &Aws,
        progress: &Progress,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let step = progress.begin("deployed the template");
        let infra = places.workspace.join("infra");
        let mut deploy = Command::new(python)
            .arg(infra.join("local/deploy.py"))
            .args(["--stack", self.stack])
            .arg("--template")
            .arg(infra.join("template.yaml"))
            .arg("--artifacts")
            .arg(self.artifacts)
            .arg("--zips")
            .arg(places.own.join("zips"))
            .args(self.local.then_some("--discard-code"))
            .args(self.parameters.iter().map(|(name, value)| format!("{name}={value}")))
            .envs(aws.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the deployment")?;
        let Some(stderr) = deploy.stderr.take() else { bail!("the deployment has no output") };
        let mut said = String::new();
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            step.note(&line);
            said = said + &line + "\n";
        }
        let output = deploy.wait_with_output().await.context("waiting for the deployment")?;
        ensure!(output.status.success(), "the deployment failed:\n{said}");
        let outputs = serde_json::from_slice(&output.stdout);
        let outputs = outputs.context("reading the stack's outputs")?;
        step.done();
        Ok(outputs)
    }
}
