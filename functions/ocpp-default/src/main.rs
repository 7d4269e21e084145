//! Correlates results of our own calls; refuses what it does not know.

fn main() {}
