//! Tallywatt's rating engine beside `ocpi-tariffs`, the field's reference.

pub mod cases;
pub mod difference;
pub mod generate;
pub mod ours;
pub mod reference;
pub mod speed;
