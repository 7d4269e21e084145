//! OCPP 1.6-J frames and messages, read leniently and written strictly.
//!
//! What a charger sends is read for what it means: an unknown enum value, unit or vendor field
//! never stops a message, an unreadable optional field becomes a [`Warning`] beside the message.
//! Only what a message cannot do without is a [`PayloadError`], answered with the CALLERROR that
//! OCPP-J 1.6 names (4.2.3, table 7).
//!
//! Invariant: no number passes through a float; every reading is the decimal that was sent.

mod enums;
mod fields;
mod frame;
mod requests;
mod responses;

pub use enums::{
    AuthorizationStatus, ChargePointErrorCode, ChargePointStatus, DataTransferStatus,
    DiagnosticsStatus, ErrorCode, FirmwareStatus, Location, Measurand, Phase, ReadingContext,
    RegistrationStatus, RemoteStartStopStatus, StopReason, UnitOfMeasure, ValueFormat,
};
pub use fields::{Fields, PayloadError, Warning, WarningCode, decimal_of, timestamp_of};
pub use frame::{CallRefusal, Frame, FrameError, Incoming, MESSAGE_ID_UNKNOWN, Payload, read_call};
pub use requests::{
    AuthorizeRequest, BootNotificationRequest, DataTransferRequest,
    DiagnosticsStatusNotificationRequest, FirmwareStatusNotificationRequest, HeartbeatRequest,
    MeterValue, MeterValuesRequest, Request, SampledValue, StartTransactionRequest,
    StatusNotificationRequest, StopTransactionRequest,
};
pub use responses::{
    AuthorizeResponse, BootNotificationResponse, DataTransferResponse, EmptyResponse,
    HeartbeatResponse, IdTagInfo, RemoteStartStopResponse, StartTransactionResponse,
    StopTransactionResponse,
};

/// The WebSocket subprotocol of this version (OCPP-J 1.6, 3.2).
pub const SUBPROTOCOL: &str = "ocpp1.6";

#[cfg(test)]
mod test_frames;
#[cfg(test)]
mod test_messages;
