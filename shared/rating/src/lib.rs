//! Prices a session against an OCPI tariff, and writes the result as an OCPI CDR. Pure.
