//! Writes the OCPI CDR and sends it to the roaming partner.

fn main() {}
