//! OCPP 1.6 enumerations (chapter 7). Each keeps a text it does not know, as it was sent.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant,)+
            /// A text that OCPP 1.6 does not list, as it was sent.
            Other(String),
        }

        impl $name {
            /// The text on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(match text.trim() {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                })
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.trim() {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

open_enum!(
    /// Why a CALL was refused (OCPP-J 1.6, 4.2.3, table 7). Its two misspellings are the
    /// specification's own, which its errata keep (5.1, 5.2).
    ErrorCode {
        NotImplemented = "NotImplemented",
        NotSupported = "NotSupported",
        InternalError = "InternalError",
        ProtocolError = "ProtocolError",
        SecurityError = "SecurityError",
        FormationViolation = "FormationViolation",
        PropertyConstraintViolation = "PropertyConstraintViolation",
        OccurenceConstraintViolation = "OccurenceConstraintViolation",
        TypeConstraintViolation = "TypeConstraintViolation",
        GenericError = "GenericError",
    }
);
open_enum!(
    /// Status in response to a StartTransaction or Authorize (OCPP 1.6, 7.2).
    AuthorizationStatus {
        Accepted = "Accepted",
        Blocked = "Blocked",
        Expired = "Expired",
        Invalid = "Invalid",
        ConcurrentTx = "ConcurrentTx",
    }
);
open_enum!(
    /// Status of a charge point or connector (OCPP 1.6, 7.7).
    ChargePointStatus {
        Available = "Available",
        Preparing = "Preparing",
        Charging = "Charging",
        SuspendedEVSE = "SuspendedEVSE",
        SuspendedEV = "SuspendedEV",
        Finishing = "Finishing",
        Reserved = "Reserved",
        Unavailable = "Unavailable",
        Faulted = "Faulted",
    }
);
open_enum!(
    /// What is wrong with a charge point (OCPP 1.6, 7.6).
    ChargePointErrorCode {
        ConnectorLockFailure = "ConnectorLockFailure",
        EVCommunicationError = "EVCommunicationError",
        GroundFailure = "GroundFailure",
        HighTemperature = "HighTemperature",
        InternalError = "InternalError",
        LocalListConflict = "LocalListConflict",
        NoError = "NoError",
        OtherError = "OtherError",
        OverCurrentFailure = "OverCurrentFailure",
        OverVoltage = "OverVoltage",
        PowerMeterFailure = "PowerMeterFailure",
        PowerSwitchFailure = "PowerSwitchFailure",
        ReaderFailure = "ReaderFailure",
        ResetFailure = "ResetFailure",
        UnderVoltage = "UnderVoltage",
        WeakSignal = "WeakSignal",
    }
);
open_enum!(
    /// Answer to DataTransfer.
    DataTransferStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
        UnknownMessageId = "UnknownMessageId",
        UnknownVendorId = "UnknownVendorId",
    }
);
open_enum!(
    /// Progress of a diagnostics upload.
    DiagnosticsStatus {
        Idle = "Idle",
        Uploaded = "Uploaded",
        UploadFailed = "UploadFailed",
        Uploading = "Uploading",
    }
);
open_enum!(
    /// Progress of a firmware update.
    FirmwareStatus {
        Downloaded = "Downloaded",
        DownloadFailed = "DownloadFailed",
        Downloading = "Downloading",
        Idle = "Idle",
        InstallationFailed = "InstallationFailed",
        Installing = "Installing",
        Installed = "Installed",
    }
);
open_enum!(
    /// Where a value was measured. Outlet when not stated.
    Location {
        Body = "Body",
        Cable = "Cable",
        EV = "EV",
        Inlet = "Inlet",
        Outlet = "Outlet",
    }
);
open_enum!(
    /// What was measured.
    Measurand {
        CurrentExport = "Current.Export",
        CurrentImport = "Current.Import",
        CurrentOffered = "Current.Offered",
        EnergyActiveExportRegister = "Energy.Active.Export.Register",
        EnergyActiveImportRegister = "Energy.Active.Import.Register",
        EnergyReactiveExportRegister = "Energy.Reactive.Export.Register",
        EnergyReactiveImportRegister = "Energy.Reactive.Import.Register",
        EnergyActiveExportInterval = "Energy.Active.Export.Interval",
        EnergyActiveImportInterval = "Energy.Active.Import.Interval",
        EnergyReactiveExportInterval = "Energy.Reactive.Export.Interval",
        EnergyReactiveImportInterval = "Energy.Reactive.Import.Interval",
        Frequency = "Frequency",
        PowerActiveExport = "Power.Active.Export",
        PowerActiveImport = "Power.Active.Import",
        PowerFactor = "Power.Factor",
        PowerOffered = "Power.Offered",
        PowerReactiveExport = "Power.Reactive.Export",
        PowerReactiveImport = "Power.Reactive.Import",
        Rpm = "RPM",
        SoC = "SoC",
        Temperature = "Temperature",
        Voltage = "Voltage",
    }
);
open_enum!(
    /// Phase a value belongs to. Not stated: all phases together.
    Phase {
        L1 = "L1",
        L2 = "L2",
        L3 = "L3",
        N = "N",
        L1N = "L1-N",
        L2N = "L2-N",
        L3N = "L3-N",
        L1L2 = "L1-L2",
        L2L3 = "L2-L3",
        L3L1 = "L3-L1",
    }
);
open_enum!(
    /// Why a value was read. `Sample.Periodic` when not stated.
    ReadingContext {
        InterruptionBegin = "Interruption.Begin",
        InterruptionEnd = "Interruption.End",
        Other16 = "Other",
        SampleClock = "Sample.Clock",
        SamplePeriodic = "Sample.Periodic",
        TransactionBegin = "Transaction.Begin",
        TransactionEnd = "Transaction.End",
        Trigger = "Trigger",
    }
);
open_enum!(
    /// Why a transaction stopped. `Local` when not stated.
    StopReason {
        DeAuthorized = "DeAuthorized",
        EmergencyStop = "EmergencyStop",
        EVDisconnected = "EVDisconnected",
        HardReset = "HardReset",
        Local = "Local",
        OtherReason = "Other",
        PowerLoss = "PowerLoss",
        Reboot = "Reboot",
        Remote = "Remote",
        SoftReset = "SoftReset",
        UnlockCommand = "UnlockCommand",
    }
);
open_enum!(
    /// Answer to BootNotification.
    RegistrationStatus {
        Accepted = "Accepted",
        Pending = "Pending",
        Rejected = "Rejected",
    }
);
open_enum!(
    /// Answer to RemoteStartTransaction and RemoteStopTransaction.
    RemoteStartStopStatus {
        Accepted = "Accepted",
        Rejected = "Rejected",
    }
);
open_enum!(
    /// Unit of a value. `Wh` for energy when not stated.
    UnitOfMeasure {
        A = "A",
        Celsius = "Celsius",
        // The specification misspells it first and adds the right spelling; both occur.
        Celcius = "Celcius",
        Fahrenheit = "Fahrenheit",
        K = "K",
        KVA = "kVA",
        KVar = "kvar",
        KVarh = "kvarh",
        KW = "kW",
        KWh = "kWh",
        Percent = "Percent",
        V = "V",
        VA = "VA",
        Var = "var",
        Varh = "varh",
        W = "W",
        Wh = "Wh",
    }
);
open_enum!(
    /// How a value is written. `Raw` when not stated.
    ValueFormat {
        Raw = "Raw",
        SignedData = "SignedData",
    }
);
