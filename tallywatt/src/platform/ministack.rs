//! The emulator's process: started on a free port, gone when it is dropped.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use rand::seq::IndexedRandom as _;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{Places, TestSwitches, progress::Progress};

const READY_WITHIN: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(50);

/// A running MiniStack and the functions it runs.
#[derive(Debug)]
pub(super) struct Ministack {
    /// Its address.
    pub(super) endpoint: Url,
    process: Child,
    /// Its log and the functions' code; removed with it.
    folder: TempDir,
}

impl Ministack {
    /// Starts it with IAM enforced, and waits until it answers.
    pub(super) async fn start(
        python: &Path,
        places: &Places,
        switches: &TestSwitches,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let step = progress.begin("started the emulator");
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&places.own);
        let folder = folder.context("making a folder for the emulator")?;
        let port = free_port()?;
        let endpoint: Url = format!("http://127.0.0.1:{port}").parse()?;
        let log = File::create(folder.path().join("ministack.log"))?;
        let mut command = Command::new(python);
        command
            .arg(places.workspace.join("infra/local/launcher.py"))
            // Functions inherit the emulator's environment: nothing of ours is to leak into them.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("AWS_ENDPOINT_URL", endpoint.as_str().trim_end_matches('/'))
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", super::LOCAL_REGION)
            .env("AUTH", "true")
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .env("LOG_LEVEL", env::var("MINISTACK_LOG_LEVEL").unwrap_or_else(|_| "WARNING".into()))
            .env("TALLYWATT_END_WITH_STDIN", folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C reaches us, and we end it with all its functions.
            .process_group(0);
        if switches.deliver_twice {
            command.env("TALLYWATT_DELIVER_TWICE", "1");
        }
        if let Some(file) = &switches.request_log {
            command.env("TALLYWATT_REQUEST_LOG", file);
        }
        let process = command.spawn().context("starting the emulator")?;
        let mut ministack = Self { endpoint, process, folder };
        ministack.wait_until_ready().await?;
        step.done();
        Ok(ministack)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let health = self.endpoint.join("_ministack/health")?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.process.try_wait()? {
                bail!("the emulator ended ({status}):\n{}", self.log());
            }
            let answer = client.get(health.clone()).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the emulator does not answer:\n{}", self.log());
            }
            sleep(POLL).await;
        }
    }

    /// What it wrote to its log.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("ministack.log")).unwrap_or_default()
    }

    /// Kills one of the functions' processes, wherever it is in its work. Gives the function's
    /// name; `None` when none is running (or this is not Linux).
    pub(super) fn kill_random_function_process(&self) -> Option<String> {
        let running = self.function_processes();
        let (pid, function) = running.choose(&mut rand::rng())?;
        kill_process(*pid, Signal::KILL).ok()?;
        Some(function.clone())
    }

    fn function_processes(&self) -> Vec<(Pid, String)> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.filter_map(|entry| self.function_process(&entry.path())).collect()
    }

    fn function_process(&self, process: &Path) -> Option<(Pid, String)> {
        let pid = Pid::from_raw(process.file_name()?.to_str()?.parse().ok()?)?;
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        // "pid (name) state parent …": the name may hold anything, so count from its end.
        let parent: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        (parent == self.process.id()).then_some(())?;
        let environment = fs::read(process.join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment);
        let mut variables = environment.split('\0');
        let name = variables.find_map(|one| one.strip_prefix("AWS_LAMBDA_FUNCTION_NAME="))?;
        Some((pid, name.to_owned()))
    }

    /// The memory that it and its functions hold now, in bytes; `None` when this is not Linux.
    pub(super) fn resident_bytes(&self) -> Option<u64> {
        let own = PathBuf::from("/proc").join(self.process.id().to_string());
        let functions = self.function_processes().into_iter();
        let functions =
            functions.map(|(pid, _)| Path::new("/proc").join(pid.as_raw_nonzero().to_string()));
        let all = functions.chain([own]).filter_map(|process| {
            let status = fs::read_to_string(process.join("status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        Some(all.sum::<u64>() * 1024).filter(|bytes| *bytes > 0)
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The functions are in its group. Nothing to be done about an error: it is gone already.
        if let Some(group) = Pid::from_raw(i32::try_from(self.process.id()).unwrap_or_default()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// A port nobody listens on now.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a port")?;
    Ok(listener.local_addr()?.port())
}
