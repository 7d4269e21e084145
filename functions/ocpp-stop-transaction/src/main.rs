//! Ends a session and stores its outgoing event in one transaction.

fn main() {}
