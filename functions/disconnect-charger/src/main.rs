//! Forgets a connection that was closed.

fn main() {}
