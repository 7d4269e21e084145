//! Lambda glue: start, log, metrics, batches, OCPP replies.
