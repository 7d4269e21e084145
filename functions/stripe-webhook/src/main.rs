//! Takes events from Stripe.

fn main() {}
