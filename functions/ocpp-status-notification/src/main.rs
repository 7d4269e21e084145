//! Keeps the status timeline of a connector and releases sessions that wait for it.

fn main() {}
