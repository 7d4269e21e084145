//! What long work says while it runs: spinners on a terminal, one plain line per step elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

/// Tells on standard error what is going on, and remembers how long each step took.
#[derive(Debug, Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
    plain: bool,
    phases: Arc<Mutex<Vec<Phase>>>,
}

/// A step that is over.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// What was done.
    pub name: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// A step under way. Without [`Step::done`] it counts as failed and is not remembered.
#[derive(Debug)]
pub struct Step {
    name: String,
    began: Instant,
    bar: Option<ProgressBar>,
    progress: Progress,
}

impl Progress {
    /// Spinners if standard error is a terminal, plain lines if not.
    #[must_use]
    pub fn visible() -> Self {
        let terminal = io::stderr().is_terminal();
        Self { bars: terminal.then(MultiProgress::new), plain: !terminal, phases: Arc::default() }
    }

    /// Says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { bars: None, plain: false, phases: Arc::default() }
    }

    /// Begins a step.
    #[must_use]
    pub fn begin(&self, name: impl Into<String>) -> Step {
        let name = name.into();
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner().with_message(name.clone()));
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg} {prefix}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Step { name, began: Instant::now(), bar, progress: self.clone() }
    }

    /// A line for the person who waits.
    pub fn say(&self, line: &str) {
        match &self.bars {
            // A terminal that is gone is no reason to stop.
            Some(bars) => drop(bars.println(line)),
            None if self.plain => drop(writeln!(io::stderr(), "{line}")),
            None => {}
        }
    }

    /// The steps so far, in the order they ended.
    #[must_use]
    pub fn phases(&self) -> Vec<Phase> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Step {
    /// Shows a detail, on a terminal only.
    pub fn note(&self, detail: &str) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(detail.trim().chars().take(60).collect::<String>());
        }
    }

    /// The step ended well.
    pub fn done(self) {
        let elapsed = self.began.elapsed();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.progress.say(&format!("{} ({:.1} s)", self.name, elapsed.as_secs_f32()));
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let phase = Phase { name: self.name, duration_ms };
        self.progress.phases.lock().unwrap_or_else(PoisonError::into_inner).push(phase);
    }
}
