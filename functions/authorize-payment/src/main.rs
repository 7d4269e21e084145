//! Places the hold when a session starts.

fn main() {}
