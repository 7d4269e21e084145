//! A strict stand-in for the part of Stripe that Tallywatt uses, for tests and the demo.
