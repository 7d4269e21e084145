//! What chargers ask (OCPP 1.6, chapter 6), read for what it means.

use chrono::{DateTime, Utc};
use quantities::{ConnectorId, IdTag, TransactionId, WattHours};
use serde::Serialize;

use crate::{
    AuthorizeResponse, BootNotificationResponse, ChargePointErrorCode, ChargePointStatus,
    DataTransferResponse, DiagnosticsStatus, EmptyResponse, Fields, FirmwareStatus,
    HeartbeatResponse, Location, Measurand, PayloadError, Phase, ReadingContext,
    StartTransactionResponse, StopReason, StopTransactionResponse, UnitOfMeasure, ValueFormat,
    fields::{any, id_tag, integer, open, text, watt_hours},
};

/// A request a charger makes.
pub trait Request: Sized {
    /// The action's name on the wire.
    const ACTION: &'static str;
    /// What answers it.
    type Response: Serialize;

    /// Reads it from the payload's fields.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when it lacks what the message cannot do without.
    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError>;
}

/// May this tag charge? (6.1)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizeRequest {
    /// The tag.
    pub id_tag: IdTag,
}

impl Request for AuthorizeRequest {
    const ACTION: &'static str = "Authorize";
    type Response = AuthorizeResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self { id_tag: fields.required("idTag", id_tag)? })
    }
}

/// The charger has started, or connected again (6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootNotificationRequest {
    /// Vendor; empty when not stated.
    pub charge_point_vendor: String,
    /// Model; empty when not stated.
    pub charge_point_model: String,
    /// Serial number of the charge point.
    pub charge_point_serial_number: Option<String>,
    /// Serial number of the charge box (deprecated).
    pub charge_box_serial_number: Option<String>,
    /// Firmware version.
    pub firmware_version: Option<String>,
    /// ICCID of the modem's SIM card.
    pub iccid: Option<String>,
    /// IMSI of the modem's SIM card.
    pub imsi: Option<String>,
    /// Type of the main meter.
    pub meter_type: Option<String>,
    /// Serial number of the main meter.
    pub meter_serial_number: Option<String>,
}

impl Request for BootNotificationRequest {
    const ACTION: &'static str = "BootNotification";
    type Response = BootNotificationResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            charge_point_vendor: fields.expected("chargePointVendor", text).unwrap_or_default(),
            charge_point_model: fields.expected("chargePointModel", text).unwrap_or_default(),
            charge_point_serial_number: fields.optional("chargePointSerialNumber", text),
            charge_box_serial_number: fields.optional("chargeBoxSerialNumber", text),
            firmware_version: fields.optional("firmwareVersion", text),
            iccid: fields.optional("iccid", text),
            imsi: fields.optional("imsi", text),
            meter_type: fields.optional("meterType", text),
            meter_serial_number: fields.optional("meterSerialNumber", text),
        })
    }
}

/// I am here; what time is it? (6.29)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatRequest {}

impl Request for HeartbeatRequest {
    const ACTION: &'static str = "Heartbeat";
    type Response = HeartbeatResponse;

    fn read(_: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {})
    }
}

/// A connector, or the charger (connector 0), changed its status (6.47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusNotificationRequest {
    /// The connector.
    pub connector_id: ConnectorId,
    /// What is wrong with it.
    pub error_code: ChargePointErrorCode,
    /// Its status.
    pub status: ChargePointStatus,
    /// Since when; `None` when not stated: then, the time of arrival.
    pub timestamp: Option<DateTime<Utc>>,
    /// The vendor's words about the error.
    pub info: Option<String>,
    /// The vendor.
    pub vendor_id: Option<String>,
    /// The vendor's error code.
    pub vendor_error_code: Option<String>,
}

impl Request for StatusNotificationRequest {
    const ACTION: &'static str = "StatusNotification";
    type Response = EmptyResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            connector_id: ConnectorId(fields.required("connectorId", integer)?),
            error_code: fields.expected("errorCode", open).unwrap_or(ChargePointErrorCode::NoError),
            status: fields.required("status", open)?,
            timestamp: fields.optional_time("timestamp"),
            info: fields.optional("info", text),
            vendor_id: fields.optional("vendorId", text),
            vendor_error_code: fields.optional("vendorErrorCode", text),
        })
    }
}

/// A transaction has started (6.45).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTransactionRequest {
    /// The connector.
    pub connector_id: ConnectorId,
    /// The tag that started it.
    pub id_tag: IdTag,
    /// Register at the start.
    pub meter_start: WattHours,
    /// When it started.
    pub timestamp: DateTime<Utc>,
    /// The reservation it ends.
    pub reservation_id: Option<i32>,
}

impl Request for StartTransactionRequest {
    const ACTION: &'static str = "StartTransaction";
    type Response = StartTransactionResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            connector_id: ConnectorId(fields.required("connectorId", integer)?),
            id_tag: fields.required("idTag", id_tag)?,
            meter_start: fields.required("meterStart", watt_hours)?,
            timestamp: fields.required_time("timestamp")?,
            reservation_id: fields.optional("reservationId", integer),
        })
    }
}

/// Meter readings (6.31).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterValuesRequest {
    /// The connector; 0 is the main meter.
    pub connector_id: ConnectorId,
    /// The transaction, when there is one and its number can be read.
    pub transaction_id: Option<TransactionId>,
    /// The readings that can be read.
    pub meter_value: Vec<MeterValue>,
}

impl Request for MeterValuesRequest {
    const ACTION: &'static str = "MeterValues";
    type Response = EmptyResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            connector_id: ConnectorId(fields.required("connectorId", integer)?),
            transaction_id: fields.optional("transactionId", integer).map(TransactionId),
            meter_value: fields.objects("meterValue", MeterValue::read),
        })
    }
}

/// Values read at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterValue {
    /// When they were read.
    pub timestamp: DateTime<Utc>,
    /// The values.
    pub sampled_value: Vec<SampledValue>,
}

impl MeterValue {
    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            timestamp: fields.required_time("timestamp")?,
            sampled_value: fields.objects("sampledValue", SampledValue::read),
        })
    }
}

/// One value, with the specification's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampledValue {
    /// The value as it was written: a number, or signed data that must not be touched.
    pub value: String,
    /// Why it was read.
    pub context: ReadingContext,
    /// How it is written.
    pub format: ValueFormat,
    /// What it is.
    pub measurand: Measurand,
    /// Its phase; `None`: all together.
    pub phase: Option<Phase>,
    /// Where it was measured.
    pub location: Location,
    /// Its unit, when stated.
    pub unit: Option<UnitOfMeasure>,
}

impl SampledValue {
    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            value: fields.required("value", any)?,
            context: fields.optional("context", open).unwrap_or(ReadingContext::SamplePeriodic),
            format: fields.optional("format", open).unwrap_or(ValueFormat::Raw),
            measurand: fields
                .optional("measurand", open)
                .unwrap_or(Measurand::EnergyActiveImportRegister),
            phase: fields.optional("phase", open),
            location: fields.optional("location", open).unwrap_or(Location::Outlet),
            unit: fields.optional("unit", open),
        })
    }
}

/// A transaction has stopped (6.49).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopTransactionRequest {
    /// The transaction; −1, which nobody is given, when the number is absent or unreadable: the
    /// message is kept for a person like any other for a transaction we do not know.
    pub transaction_id: TransactionId,
    /// The tag that stopped it.
    pub id_tag: Option<IdTag>,
    /// Register at the end; −1 Wh, which is no reading, when absent or unreadable: that the
    /// transaction stopped, and when, is too good to refuse.
    pub meter_stop: WattHours,
    /// When it stopped.
    pub timestamp: DateTime<Utc>,
    /// Why; `None` when not stated: then, `Local`.
    pub reason: Option<StopReason>,
    /// Readings of the transaction that can be read.
    pub transaction_data: Vec<MeterValue>,
}

impl Request for StopTransactionRequest {
    const ACTION: &'static str = "StopTransaction";
    type Response = StopTransactionResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            transaction_id: TransactionId(fields.expected("transactionId", integer).unwrap_or(-1)),
            id_tag: fields.optional("idTag", id_tag),
            meter_stop: fields
                .expected("meterStop", watt_hours)
                .unwrap_or_else(|| WattHours::from(-1)),
            timestamp: fields.required_time("timestamp")?,
            reason: fields.optional("reason", open),
            transaction_data: fields.objects("transactionData", MeterValue::read),
        })
    }
}

/// Something of the vendor's own (6.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataTransferRequest {
    /// The vendor.
    pub vendor_id: String,
    /// The vendor's message.
    pub message_id: Option<String>,
    /// Its data: a text as it is, anything else as JSON.
    pub data: Option<String>,
}

impl Request for DataTransferRequest {
    const ACTION: &'static str = "DataTransfer";
    type Response = DataTransferResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self {
            vendor_id: fields.required("vendorId", text)?,
            message_id: fields.optional("messageId", text),
            data: fields.optional("data", any),
        })
    }
}

/// Progress of a firmware update (6.19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareStatusNotificationRequest {
    /// How far it is.
    pub status: FirmwareStatus,
}

impl Request for FirmwareStatusNotificationRequest {
    const ACTION: &'static str = "FirmwareStatusNotification";
    type Response = EmptyResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self { status: fields.required("status", open)? })
    }
}

/// Progress of a diagnostics upload (6.17).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagnosticsStatusNotificationRequest {
    /// How far it is.
    pub status: DiagnosticsStatus,
}

impl Request for DiagnosticsStatusNotificationRequest {
    const ACTION: &'static str = "DiagnosticsStatusNotification";
    type Response = EmptyResponse;

    fn read(fields: &mut Fields<'_>) -> Result<Self, PayloadError> {
        Ok(Self { status: fields.required("status", open)? })
    }
}
