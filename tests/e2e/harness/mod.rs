//! What every test needs: a running world, ways to act in it, patience, and an account of what
//! went wrong.

mod station;
mod tools;
mod world;

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    runtime::Runtime,
    sync::{Mutex, MutexGuard, OnceCell},
    time::{Instant, sleep},
};

pub(crate) use self::{
    station::{Charge, Station},
    tools::{node_modules, outcome, python, run, tallywatt},
    world::{Before, Card, SITE, World, is_captured, is_held, is_owed, rows, session_id},
};

/// How long anything may take that happens by itself; far more than it needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// What all tests share.
#[derive(Debug)]
pub(crate) struct Suite {
    // Dropped before the runtime that it lives on.
    shared: OnceCell<Result<Shared, String>>,
    own: Mutex<()>,
    runtime: Runtime,
}

#[derive(Debug)]
struct Shared {
    before: Arc<Before>,
    /// None once it was released.
    world: Mutex<Option<Arc<World>>>,
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
    pub(crate) async fn shared(&self) -> anyhow::Result<Arc<World>> {
        let world = self.start_shared().await?.world.lock().await.clone();
        world.context("a test that shares the world is listed after those that do not")
    }

    /// What came of the recorded sessions as the shared world played them.
    pub(crate) async fn before(&self) -> anyhow::Result<Arc<Before>> {
        Ok(self.start_shared().await?.before.clone())
    }

    async fn start_shared(&self) -> anyhow::Result<&Shared> {
        let start = async || match World::shared().await {
            Ok((world, before)) => {
                Ok(Shared { before: Arc::new(before), world: Mutex::new(Some(Arc::new(world))) })
            }
            Err(error) => Err(format!("{error:#}")),
        };
        match self.shared.get_or_init(start).await {
            Ok(shared) => Ok(shared),
            Err(error) => bail!("the shared world did not come to be: {error}"),
        }
    }

    /// To be alone on the machine: nobody else disturbs or is disturbed, and the shared world ends
    /// with the tests that still run in it. So tests of this kind are listed last.
    pub(crate) async fn alone(&self) -> MutexGuard<'_, ()> {
        let alone = self.own.lock().await;
        if let Some(Ok(shared)) = self.shared.get() {
            shared.world.lock().await.take();
        }
        alone
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
