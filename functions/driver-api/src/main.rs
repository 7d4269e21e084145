//! The HTTP surface for driver apps.

fn main() {}
