//! Sends our own OCPP calls through the open connection.

fn main() {}
