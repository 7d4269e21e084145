//! Remembers the connection a charger has opened and agrees on the OCPP subprotocol.

fn main() {}
