//! SQS: sending events and moving dead letters back.
