//! Sends outbox rows from the DynamoDB stream to their queues.

fn main() {}
