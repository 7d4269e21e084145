//! The command as a program.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tallywatt::price::PriceArgs;

/// A program that goes on for longer than this does not end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none when it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `tallywatt price` with `args`. Its output goes to files in `folder`: a pipe that nobody
/// empties would stop it.
pub(crate) fn run(args: &PriceArgs, folder: &Path) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallywatt"));
    command.args(["price", "--json", "--tariff"]).arg(&args.tariff);
    let given =
        [("--cdr", &args.cdr), ("--timeline", &args.timeline), ("--session", &args.session)];
    for (option, file) in given {
        if let Some(file) = file {
            command.arg(option).arg(file);
        }
    }
    if let Some(plan) = &args.rules.plan {
        command.arg("--plan").arg(plan);
    }
    if let Some(zone) = &args.rules.timezone {
        command.args(["--timezone", zone]);
    }
    let (out, err) = (folder.join("out"), folder.join("err"));
    command.stdin(Stdio::null());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let code = status.and_then(|status| status.code());
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Ended { code, out: text(out), err: text(err) }
}
