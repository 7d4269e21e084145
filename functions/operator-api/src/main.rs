//! The HTTP surface for operators.

fn main() {}
