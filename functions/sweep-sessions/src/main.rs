//! Closes silent sessions and releases holds nobody used.

fn main() {}
