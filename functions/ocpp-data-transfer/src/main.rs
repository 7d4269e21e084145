//! Answers DataTransfer.

fn main() {}
