//! DynamoDB: the only crate that knows tables, keys and conditions.
