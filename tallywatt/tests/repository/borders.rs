//! House rules: pure crates are pure, a function's main is thin.

use std::{env, process::Command};

use anyhow::ensure;

use crate::{folder, read};

/// Crates without I/O and without a clock: what they do depends on what they are given.
const PURE: [&str; 10] = [
    "quantities",
    "network",
    "ocpp",
    "session",
    "ocpi",
    "plans",
    "rating",
    "ledger",
    "messages",
    "receipts",
];

/// What a pure crate must not reach, however far down.
const IMPURE: [&str; 10] = [
    "tokio",
    "mio",
    "hyper",
    "reqwest",
    "axum",
    "lambda_",
    "aws",
    "async-stripe",
    "socket2",
    "rustls",
];

/// What no source of a pure crate may say.
const EFFECTS: [&str; 9] = [
    "::now(",
    "std::fs",
    "std::net",
    "std::env",
    "env::var",
    "std::process",
    "std::thread",
    "println!",
    " rand::",
];

const MAIN_LINES_MAX: usize = 60;

#[test]
fn pure_crates_reach_nothing_that_talks_to_the_world() -> anyhow::Result<()> {
    for name in PURE {
        let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let args = ["tree", "--package", name, "--edges", "normal", "--prefix", "none"];
        let tree = Command::new(cargo).args(args).current_dir(crate::root()).output()?;
        let says = String::from_utf8_lossy(&tree.stderr);
        ensure!(tree.status.success(), "cargo tree failed:\n{says}");
        let tree = String::from_utf8(tree.stdout)?;
        ensure!(tree.starts_with(name), "{name} has no tree: this test proved nothing");
        let reached = tree.lines().find(|line| IMPURE.iter().any(|bad| line.starts_with(bad)));
        assert_eq!(reached, None, "{name} must be pure");
    }
    Ok(())
}

#[test]
fn pure_crates_ask_neither_clock_nor_disk_nor_environment() -> anyhow::Result<()> {
    for name in PURE {
        let sources = sources(&format!("shared/{name}/src"))?;
        ensure!(!sources.is_empty(), "no sources of {name}: this test proved nothing");
        for file in sources {
            let text = read(&file)?;
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            for (line, text) in code.lines().enumerate() {
                let text = text.split("//").next().unwrap_or_default();
                let effect = EFFECTS.iter().find(|effect| text.contains(**effect));
                assert_eq!(effect, None, "{file}:{}", line + 1);
            }
        }
    }
    Ok(())
}

/// The sources below a folder. Not those of tests, which read their fixtures.
fn sources(path: &str) -> anyhow::Result<Vec<String>> {
    let mut sources = Vec::new();
    for name in folder(path)? {
        let inside = format!("{path}/{name}");
        match name.rsplit_once('.') {
            None => sources.extend(self::sources(&inside)?),
            Some((name, "rs")) if !name.starts_with("test") => sources.push(inside),
            Some(_) => {}
        }
    }
    Ok(sources)
}

#[test]
fn the_main_of_a_function_is_thin() -> anyhow::Result<()> {
    for name in folder("functions")? {
        let text = read(&format!("functions/{name}/src/main.rs"))?;
        let lines = text.split("#[cfg(test)]").next().unwrap_or_default().lines().count();
        assert!(lines <= MAIN_LINES_MAX, "functions/{name}/src/main.rs has {lines} lines");
    }
    Ok(())
}
