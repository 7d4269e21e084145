//! Delivers session and payment events as signed webhooks.

fn main() {}
