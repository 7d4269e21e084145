//! What every test needs: a running world, ways to act in it, patience, and an account of what
//! went wrong.

mod station;
mod tools;
mod world;

use std::{fmt, time::Duration};

use anyhow::bail;
use tallywatt::platform::TestSwitches;
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard, OnceCell},
    time::{Instant, sleep},
};

pub(crate) use self::{
    station::{Charge, Station},
    tools::{node_modules, python, run},
    world::{World, rows, session_id},
};

/// How long anything may take that happens by itself; far more than it needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// What all tests share.
#[derive(Debug)]
pub(crate) struct Suite {
    // Dropped before the runtime that it lives on.
    shared: OnceCell<Result<World, String>>,
    own: Mutex<()>,
    runtime: Runtime,
}

impl Suite {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        Ok(Self { shared: OnceCell::new(), own: Mutex::default(), runtime })
    }

    /// Runs one test.
    pub(crate) fn run(
        &self,
        test: impl Future<Output = anyhow::Result<()>>,
    ) -> Result<(), libtest_mimic::Failed> {
        self.runtime.block_on(test).map_err(|error| format!("{error:#}").into())
    }

    /// The world that most tests share: every recorded session was played in it before.
    pub(crate) async fn shared(&self) -> anyhow::Result<&World> {
        let start = || async { World::shared().await.map_err(|error| format!("{error:#}")) };
        match self.shared.get_or_init(start).await {
            Ok(world) => Ok(world),
            Err(error) => bail!("the shared world did not come to be: {error}"),
        }
    }

    /// A world of the test's own, to be disturbed. There is only one such at a time: the machine
    /// has to carry it beside the shared one.
    pub(crate) async fn own(
        &self,
        switches: TestSwitches,
    ) -> anyhow::Result<(World, MutexGuard<'_, ()>)> {
        let alone = self.own.lock().await;
        Ok((World::start(switches).await?, alone))
    }
}

/// Asks `look` until it finds something.
pub(crate) async fn eventually<T>(
    what: impl fmt::Display,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("in {PATIENCE:?} never seen: {what}");
        }
        sleep(Duration::from_millis(200)).await;
    }
}
