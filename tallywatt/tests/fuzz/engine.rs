//! Runs a strategy for a while, always the same way, and stops what hangs.

use std::{
    collections::BTreeMap,
    env, process,
    sync::{Mutex, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseResult, TestError, TestRng, TestRunner},
};

/// Cases of a round: a round has one seed.
const ROUND: u32 = 128;
/// A case that takes longer than this hangs.
const HANGS_AFTER: Duration = Duration::from_mins(1);

/// What every test tries now, since when.
static NOW: Mutex<BTreeMap<String, (Instant, String)>> = Mutex::new(BTreeMap::new());

/// How long to go on: `FUZZ_SECONDS`, split evenly by whoever calls.
pub(crate) fn seconds() -> Option<u64> {
    env::var("FUZZ_SECONDS").ok()?.parse().ok()
}

/// Tries `strategy` with `check`: `rounds` rounds, or as many as fit into `FUZZ_SECONDS`. The seed
/// of a round is its number, from `FUZZ_SEED` on; so a failure comes again. Returns how many cases
/// were tried.
pub(crate) fn fuzz<S: Strategy>(
    name: &str,
    rounds: u64,
    strategy: &S,
    check: impl Fn(S::Value) -> TestCaseResult,
) -> u64 {
    let first = env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0_u64);
    let began = Instant::now();
    let mut round = 0;
    loop {
        let more = match seconds() {
            Some(seconds) => began.elapsed().as_secs() < seconds,
            None => round < rounds,
        };
        if !more {
            break;
        }
        let seed = first + round;
        if let Err(error) = runner(seed).run(strategy, &check) {
            let told = match error {
                TestError::Fail(reason, input) => format!("{reason}\n{input:#?}"),
                TestError::Abort(reason) => format!("given up: {reason}"),
            };
            panic!("{name}, FUZZ_SEED={seed}:\n{told}");
        }
        round += 1;
    }
    let cases = round * u64::from(ROUND);
    println!(
        "{name}: {cases} cases in {} s, seeds {first}..{}",
        began.elapsed().as_secs(),
        first + round
    );
    cases
}

fn runner(seed: u64) -> TestRunner {
    let config = Config { cases: ROUND, failure_persistence: None, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Does `work` on an input of `bytes` bytes, and says whether it took longer than that may take.
/// Tests share a machine, so this is about what grows out of bounds, not about milliseconds.
pub(crate) fn timed<T>(what: &str, bytes: usize, work: impl FnOnce() -> T) -> Result<T, String> {
    watch();
    let began = Instant::now();
    set(Some((began, what.to_owned())));
    let result = work();
    set(None);
    let most = Duration::from_secs(10) + Duration::from_micros(100) * u32::try_from(bytes).unwrap();
    let took = began.elapsed();
    if took > most { Err(format!("{what}: {bytes} bytes took {took:?}")) } else { Ok(result) }
}

/// Notes what this test tries, or that it has ended.
fn set(now: Option<(Instant, String)>) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let mut tests = NOW.lock().unwrap_or_else(PoisonError::into_inner);
    match now {
        Some(now) => tests.insert(test, now),
        None => tests.remove(&test),
    };
}

/// Ends the program when a test hangs, and says which.
fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        thread::spawn(|| {
            loop {
                thread::sleep(Duration::from_secs(1));
                let tests = NOW.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for (test, (since, what)) in tests {
                    if since.elapsed() > HANGS_AFTER {
                        eprintln!("{test} hangs for {:?}: {what}", since.elapsed());
                        process::exit(101);
                    }
                }
            }
        });
    });
}
