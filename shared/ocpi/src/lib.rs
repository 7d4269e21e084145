//! OCPI 2.2.1 Tariff and CDR objects as they travel. Pure.
