//! The command: demo, price, charger.
