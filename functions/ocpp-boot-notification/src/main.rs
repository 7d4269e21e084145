//! Answers BootNotification and keeps what the charger says of itself.

fn main() {}
