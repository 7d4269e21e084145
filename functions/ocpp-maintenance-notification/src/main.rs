//! Answers FirmwareStatusNotification and DiagnosticsStatusNotification.

fn main() {}
