//! Answers Authorize from the entitlement cache.

fn main() {}
