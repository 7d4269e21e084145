//! The command: demo, price, charger.

pub mod platform;
