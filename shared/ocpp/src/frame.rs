//! OCPP-J 1.6 frames: CALL, CALLRESULT and CALLERROR (chapter 4).

use std::fmt;

use serde::{
    Deserializer, Serialize,
    de::{DeserializeSeed, SeqAccess, Visitor},
};
use serde_json::{json, value::RawValue};

use crate::{ErrorCode, Fields, PayloadError, Request, Warning};

/// The message id of an answer to a frame whose own id cannot be read.
///
/// OCPP-J 1.6 leaves this open; OCPP 2.0.1 part 4 (4.2.3) says "-1", which no charger uses itself.
pub const MESSAGE_ID_UNKNOWN: &str = "-1";

/// Longest error description, in characters (OCPP-J 1.6, 4.2.3).
const DESCRIPTION_MAX: usize = 255;

/// One message on the wire.
#[derive(Debug, Clone)]
pub enum Frame {
    /// A request: `[2, id, action, payload]`.
    Call {
        /// The sender's message id (`uniqueId`), repeated in the answer.
        id: String,
        /// The action.
        action: String,
        /// Its request.
        payload: Payload,
    },
    /// An answer: `[3, id, payload]`.
    CallResult {
        /// The id of the call it answers.
        id: String,
        /// The response.
        payload: Payload,
    },
    /// A refusal: `[4, id, code, description, details]`.
    CallError {
        /// The id of the call it answers.
        id: String,
        /// Why.
        code: ErrorCode,
        /// Why, in words; may be empty.
        description: String,
        /// Anything else, a JSON object.
        details: Payload,
    },
}

/// A JSON value as it was sent, not yet looked at.
#[derive(Debug, Clone)]
pub struct Payload(Box<RawValue>);

/// Why a text is not a frame. Its [`reply`](Self::reply) is what the charger is answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not JSON, or cut off.
    #[error("the frame is not JSON")]
    NotJson {
        /// The message id, where it came before the fault.
        id: Option<String>,
    },
    /// JSON, and not an array.
    #[error("the frame is not a JSON array")]
    NotAnArray,
    /// A message type that OCPP-J 1.6 does not list; it says to ignore these (4.1.3).
    #[error("the frame has an unknown message type")]
    UnknownMessageType,
    /// A call ends too early.
    #[error("the call has no {what}")]
    IncompleteCall {
        /// Its message id, where there is one.
        id: Option<String>,
        /// The first part that is absent.
        what: &'static str,
    },
    /// A part of a call is not the text or object it should be.
    #[error("the call's {what} is malformed")]
    MalformedCall {
        /// Its message id, where it is readable.
        id: Option<String>,
        /// The first part that is wrong.
        what: &'static str,
    },
    /// An answer of the charger's is incomplete or malformed. Answers are not answered.
    #[error("the answer is malformed")]
    MalformedAnswer {
        /// The id of the call it answers, where it is readable.
        id: Option<String>,
    },
}

impl FrameError {
    /// The CALLERROR that answers the frame. `None`: the specification wants no answer.
    #[must_use]
    pub fn reply(&self) -> Option<Frame> {
        let (id, code) = match self {
            Self::UnknownMessageType | Self::MalformedAnswer { .. } => return None,
            Self::NotAnArray => (None, ErrorCode::FormationViolation),
            Self::NotJson { id } | Self::MalformedCall { id, .. } => {
                (id.as_deref(), ErrorCode::FormationViolation)
            }
            Self::IncompleteCall { id, .. } => (id.as_deref(), ErrorCode::ProtocolError),
        };
        let id = id.unwrap_or(MESSAGE_ID_UNKNOWN);
        Some(Frame::call_error(id, code, &self.to_string()))
    }
}

impl Frame {
    /// Reads a frame. What follows its last part is ignored.
    ///
    /// # Errors
    ///
    /// [`FrameError`], with the message id if it could be read.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        let mut parts = Vec::new();
        let complete = read_parts(text, &mut parts);
        let mut parts = parts.into_iter();
        let message_type = parts.next();
        let id_part = parts.next();
        let id = id_part.as_deref().and_then(message_id);
        if !complete {
            let array = text.trim_start().starts_with('[') || text.trim().is_empty();
            let json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            return Err(match (array, json) {
                (false, true) => FrameError::NotAnArray,
                _ => FrameError::NotJson { id },
            });
        }
        match message_type.as_deref().map(RawValue::get) {
            Some("2") => call(id_part.is_some(), id, parts),
            Some("3") => match (id, parts.next()) {
                (Some(id), Some(payload)) => Ok(Self::CallResult { id, payload: Payload(payload) }),
                (id, _) => Err(FrameError::MalformedAnswer { id }),
            },
            Some("4") => refusal(id, parts),
            Some(_) => Err(FrameError::UnknownMessageType),
            None => Err(FrameError::IncompleteCall { id: None, what: "message type" }),
        }
    }

    /// A request of ours.
    #[must_use]
    pub fn call(id: &str, action: &str, payload: &impl Serialize) -> Self {
        let payload = Payload::of(payload);
        Self::Call { id: id.to_owned(), action: action.to_owned(), payload }
    }

    /// The answer to call `id`.
    #[must_use]
    pub fn call_result(id: &str, payload: &impl Serialize) -> Self {
        Self::CallResult { id: id.to_owned(), payload: Payload::of(payload) }
    }

    /// The refusal of call `id`, without details. A long description is cut.
    #[must_use]
    pub fn call_error(id: &str, code: ErrorCode, description: &str) -> Self {
        Self::call_error_with(id, code, description, &json!({}))
    }

    /// The refusal of call `id`; `details` must be a JSON object. A long description is cut.
    #[must_use]
    pub fn call_error_with(
        id: &str,
        code: ErrorCode,
        description: &str,
        details: &impl Serialize,
    ) -> Self {
        let description = description.chars().take(DESCRIPTION_MAX).collect();
        Self::CallError { id: id.to_owned(), code, description, details: Payload::of(details) }
    }

    /// The message id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Call { id, .. } | Self::CallResult { id, .. } | Self::CallError { id, .. } => id,
        }
    }
}

impl fmt::Display for Frame {
    /// The frame as it goes on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Call { id, action, payload } => {
                write!(f, "[2,{},{},{}]", quoted(id), quoted(action), payload.as_json())
            }
            Self::CallResult { id, payload } => {
                write!(f, "[3,{},{}]", quoted(id), payload.as_json())
            }
            Self::CallError { id, code, description, details } => {
                let (id, description) = (quoted(id), quoted(description));
                let code = quoted(code.as_str());
                write!(f, "[4,{id},{code},{description},{}]", details.as_json())
            }
        }
    }
}

impl Payload {
    /// A payload of ours. One that cannot be JSON (a map with keys that are not texts, which no
    /// message type of ours has) becomes an empty object.
    fn of(value: &impl Serialize) -> Self {
        let raw = serde_json::value::to_raw_value(value);
        Self(raw.unwrap_or_else(|_| Self::empty().0))
    }

    fn empty() -> Self {
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The JSON text as it was sent.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }

    /// Reads the request it should be, and what was untidy about it.
    ///
    /// # Errors
    ///
    /// [`PayloadError`] when it lacks what the message cannot do without.
    pub fn read<R: Request>(&self) -> Result<(R, Vec<Warning>), PayloadError> {
        let mut fields = Fields::of(&self.0, "")?;
        let request = R::read(&mut fields)?;
        Ok((request, fields.into_warnings()))
    }
}

/// A call that was read, and what was untidy about it.
#[derive(Debug, Clone)]
pub struct Incoming<R> {
    /// The message id to answer with.
    pub id: String,
    /// The request.
    pub request: R,
    /// What was untidy.
    pub warnings: Vec<Warning>,
}

impl<R: Request> Incoming<R> {
    /// The answer to it.
    #[must_use]
    pub fn answer(&self, response: &R::Response) -> Frame {
        Frame::call_result(&self.id, response)
    }
}

/// Why a text is not the call that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallRefusal {
    /// It is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It is an answer, or another action.
    #[error("the frame is not a {action} call")]
    OtherAction {
        /// Its message id.
        id: String,
        /// What it should have been.
        action: &'static str,
    },
    /// Its payload lacks what the message cannot do without.
    #[error("{action}: {source}")]
    Payload {
        /// Its message id.
        id: String,
        /// The action.
        action: &'static str,
        /// What is wrong.
        source: PayloadError,
    },
}

impl CallRefusal {
    /// The CALLERROR that answers it. `None`: the specification wants no answer.
    #[must_use]
    pub fn reply(&self) -> Option<Frame> {
        match self {
            Self::Frame(error) => error.reply(),
            Self::OtherAction { id, .. } => {
                Some(Frame::call_error(id, ErrorCode::GenericError, &self.to_string()))
            }
            Self::Payload { id, source, .. } => {
                Some(Frame::call_error(id, source.error_code(), &source.to_string()))
            }
        }
    }
}

/// Reads a text as a call of one action: what a function with one action needs.
///
/// # Errors
///
/// [`CallRefusal`], whose [`reply`](CallRefusal::reply) is to be sent.
pub fn read_call<R: Request>(text: &str) -> Result<Incoming<R>, CallRefusal> {
    let action = R::ACTION;
    match Frame::parse(text)? {
        Frame::Call { id, action: named, payload } if named == action => match payload.read() {
            Ok((request, warnings)) => Ok(Incoming { id, request, warnings }),
            Err(source) => Err(CallRefusal::Payload { id, action, source }),
        },
        frame => Err(CallRefusal::OtherAction { id: frame.id().to_owned(), action }),
    }
}

type Parts = std::vec::IntoIter<Box<RawValue>>;

fn call(has_id: bool, id: Option<String>, mut parts: Parts) -> Result<Frame, FrameError> {
    let Some(id) = id else {
        let what = "message id";
        return Err(if has_id {
            FrameError::MalformedCall { id: None, what }
        } else {
            FrameError::IncompleteCall { id: None, what }
        });
    };
    let (Some(action), payload) = (parts.next(), parts.next()) else {
        return Err(FrameError::IncompleteCall { id: Some(id), what: "action" });
    };
    let Ok(action) = serde_json::from_str::<String>(action.get()) else {
        return Err(FrameError::MalformedCall { id: Some(id), what: "action" });
    };
    match payload {
        Some(payload) if payload.get().starts_with('{') => {
            Ok(Frame::Call { id, action, payload: Payload(payload) })
        }
        Some(_) => Err(FrameError::MalformedCall { id: Some(id), what: "payload" }),
        None => Err(FrameError::IncompleteCall { id: Some(id), what: "payload" }),
    }
}

/// A CALLERROR; description and details may be absent, they decide nothing.
fn refusal(id: Option<String>, mut parts: Parts) -> Result<Frame, FrameError> {
    let text = |part: Option<Box<RawValue>>| {
        part.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
    };
    let Some(id) = id else { return Err(FrameError::MalformedAnswer { id: None }) };
    let Some(code) = text(parts.next()) else {
        return Err(FrameError::MalformedAnswer { id: Some(id) });
    };
    let description = text(parts.next()).unwrap_or_default();
    let details = parts.next().map_or_else(Payload::empty, Payload);
    Ok(Frame::CallError { id, code: code.into(), description, details })
}

/// A message id. A number is taken by its text: it is answered, rather than the call lost.
fn message_id(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str(raw.get()).ok(),
        b'-' | b'0'..=b'9' => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// Collects the parts of the array `text` into `parts` as far as they can be read; returns whether
/// the whole text is one JSON array.
fn read_parts(text: &str, parts: &mut Vec<Box<RawValue>>) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    Collect(parts).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

struct Collect<'a>(&'a mut Vec<Box<RawValue>>);

impl<'de> DeserializeSeed<'de> for Collect<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Collect<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while let Some(part) = parts.next_element()? {
            self.0.push(part);
        }
        Ok(())
    }
}
