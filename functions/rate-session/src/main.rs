//! Prices an ended session.

fn main() {}
