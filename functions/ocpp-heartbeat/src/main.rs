//! Answers Heartbeat with the time.

fn main() {}
