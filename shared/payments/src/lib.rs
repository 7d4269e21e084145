//! Payment states and the Stripe adapter.
