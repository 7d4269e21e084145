//! The command: demo, price, schedule, charger, storm.

pub mod budget;
pub mod charger;
pub mod closing;
pub mod demo;
pub mod floor;
pub mod inbox;
pub mod lint;
pub mod network;
pub mod platform;
pub mod price;
pub mod quote;
pub mod scenario;
pub mod schedule;
pub mod storm;
pub mod up;
