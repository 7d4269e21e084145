//! Schedules: what is wrong with them is named, and the tariff says what the schedule says.

#![expect(clippy::unwrap_used, reason = "a test may stop the world")]

mod checks;
mod compiled;
mod every_moment;
mod sample;
