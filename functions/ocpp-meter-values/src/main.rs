//! Keeps a MeterValues message.

fn main() {}
