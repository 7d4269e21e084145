//! Decides whether a charger may connect, and hands its identity, site and time zone on.

fn main() {}
