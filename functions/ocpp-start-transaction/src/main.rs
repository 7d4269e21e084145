//! Opens a session: allocates the transactionId and pins the tariff version.

fn main() {}
