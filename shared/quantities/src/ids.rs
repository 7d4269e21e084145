//! Ids: one type a kind, so that a mix-up does not compile.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an id of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a valid {kind}: {rule}")]
pub struct IdError {
    /// Name of the id's type.
    pub kind: &'static str,
    /// What was given.
    pub value: String,
    /// What is allowed.
    pub rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let fits = (1..=$max).contains(&text.len());
                let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:*|".contains(c);
                if fits && text.chars().all(allowed) {
                    return Ok(Self(text.into()));
                }
                Err(IdError {
                    kind: stringify!($name),
                    value: text.to_owned(),
                    rule: concat!("1 to ", $max, " letters, digits or -_.:*|"),
                })
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A charge point's identity: the last part of the URL it connects to (OCPP-J 1.6, 3.1.1).
    ChargePointId, 48
);
text_id!(
    /// A site: one place, one time zone, one jurisdiction.
    SiteId, 36
);
text_id!(
    /// An OCPI tariff's id (`CiString(36)`).
    TariffId, 36
);
text_id!(
    /// A membership's or fleet's plan.
    PlanId, 36
);
text_id!(
    /// Whose plan it is, and who shares its allowances: a member, a fleet.
    AccountId, 64
);
text_id!(
    /// A driver: the subject (`sub`) of their JWT.
    DriverId, 64
);
text_id!(
    /// A roaming partner.
    PartnerId, 36
);
text_id!(
    /// A webhook subscriber, such as an accounting system.
    SubscriberId, 36
);
text_id!(
    /// A card reader, in a charger or beside several.
    ReaderId, 36
);

/// The identifier a driver presents (OCPP 1.6 `IdToken`, `CiString20Type`).
///
/// Case-insensitive: kept in capitals, so equality, hash and storage key agree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdTag(String);

impl IdTag {
    /// The tag in capitals. It names a person: do not log it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdTag {
    /// Hides the tag, which names a person and opens their account.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdTag(…)")
    }
}

impl FromStr for IdTag {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let printable = text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if (1..=20).contains(&text.len()) && printable {
            return Ok(Self(text.to_ascii_uppercase()));
        }
        let value = "…".to_owned();
        Err(IdError { kind: "IdTag", value, rule: "1 to 20 printable ASCII characters" })
    }
}

impl TryFrom<String> for IdTag {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<IdTag> for String {
    fn from(tag: IdTag) -> Self {
        tag.0
    }
}

/// A connector of a charge point, from 1; 0 is the charge point itself (OCPP 1.6 `connectorId`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectorId(pub u32);

impl fmt::Display for ConnectorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number the central system gives a transaction (OCPP 1.6 `transactionId`, 32-bit).
///
/// Chargers also send numbers we never gave (−1, 0), so any value can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TransactionId(pub i32);

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Namespace of every name-based id of ours (UUID version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x7a11_3a77_0000_4000_8000_0cb1_0bad_cafe);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            fn named(name: &str) -> Self {
                Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let kind = stringify!($name);
                let refused = |_| IdError { kind, value: text.to_owned(), rule: "a UUID" };
                text.parse().map(Self).map_err(refused)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// A charging session; also the OCPI session and CDR id.
    ///
    /// Named after charge point and transaction, so that every later message of the transaction
    /// finds its session without a look-up.
    SessionId
);
uuid_id!(
    /// Something a person has to decide.
    ExceptionId
);
uuid_id!(
    /// A card that is to be presented at a reader for a connector.
    TapId
);

impl SessionId {
    /// The session of `transaction` at `charge_point`.
    #[must_use]
    pub fn of(charge_point: &ChargePointId, transaction: TransactionId) -> Self {
        Self::named(&format!("session/{charge_point}/{transaction}"))
    }
}

impl TapId {
    /// The tap that `key` stands for at `reader`: the same key is the same tap.
    #[must_use]
    pub fn of(reader: &ReaderId, key: &str) -> Self {
        Self::named(&format!("tap/{reader}/{key}"))
    }
}

impl ExceptionId {
    /// The exception about `subject`: the same subject gives the same id, so a message that comes
    /// twice raises one exception.
    #[must_use]
    pub fn about(subject: &str) -> Self {
        Self::named(&format!("exception/{subject}"))
    }
}

/// One immutable version of a tariff.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TariffRef {
    /// The tariff.
    pub id: TariffId,
    /// Its version, from 1.
    pub version: u32,
}

impl fmt::Display for TariffRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

/// One immutable version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanRef {
    /// The plan.
    pub id: PlanId,
    /// Its version, from 1.
    pub version: u32,
}

impl fmt::Display for PlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.id, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_tags_are_case_insensitive() {
        assert_eq!("abc1".parse::<IdTag>().unwrap(), "ABC1".parse().unwrap());
    }

    #[test]
    fn id_tags_stay_out_of_debug_output() {
        assert!(!format!("{:?}", "04A1B2C3".parse::<IdTag>().unwrap()).contains("04A1"));
    }

    #[test]
    fn a_key_separator_cannot_enter_an_id() {
        assert!("CP/1".parse::<ChargePointId>().is_err());
        assert!("CP#1".parse::<ChargePointId>().is_err());
        assert!("".parse::<ChargePointId>().is_err());
    }

    #[test]
    fn a_session_is_found_from_its_transaction() {
        let charge_point = "CP7".parse().unwrap();
        let id = SessionId::of(&charge_point, TransactionId(42));
        assert_eq!(id, SessionId::of(&charge_point, TransactionId(42)));
        assert_ne!(id, SessionId::of(&charge_point, TransactionId(43)));
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
    }
}
