//! Captures what a session costs.

fn main() {}
