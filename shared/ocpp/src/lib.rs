//! OCPP 1.6-J frames and messages, read leniently. Pure.
