//! Mails about a session: what was mailed, and a receipt or credit note for whoever asks.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use chrono::{DateTime, Utc};
use http_api::{
    Body, Check, Log, MailReceipts, Operator, Param, Problem, ProblemType, idempotency_key,
};
use messages::{Envelope, Event};
use network::EmailAddress;
use quantities::SessionId;
use receipts::{Mail, MailOutcome, Mailing, Requested};
use serde::{Deserialize, Serialize};
use session::digest;
use store::SessionFile;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::Api,
    refunds::{key_reused, priced},
};

pub(crate) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(mail))
}

/// A mail to be sent.
// Without Debug: an address is shown to nobody.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReceiptRequest)]
struct MailBody {
    /// Where to.
    #[schema(example = "ada@example.com")]
    email: String,
    /// The number of a credit note of the session; left out: the receipt.
    #[serde(default)]
    #[schema(example = "CN-9F3A2C-000001")]
    credit_note: Option<String>,
}

/// A mail about a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Mail)]
pub(crate) struct MailView {
    /// `receipt`, `owed` (the receipt, with what is still owed) or `credit_note`.
    #[schema(example = "receipt")]
    what: &'static str,
    /// The number of the credit note.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_note: Option<String>,
    /// To whom; most of it is left out.
    #[schema(example = "a…@example.com")]
    to: String,
    /// Who asked for it: the subject of their token. None: it is the driver's own wish.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    /// `wanted`, `sent`, or `refused` (SES will not take it: see `code`).
    #[schema(example = "sent")]
    state: &'static str,
    /// When it was sent or refused; before that, when it was last tried, if it was.
    at: Option<DateTime<Utc>>,
    /// SES's id of it, once it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    /// SES's error code, if it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "MessageRejected")]
    code: Option<String>,
}

/// Mails a session's receipt, or a credit note of it, to an address that somebody names: a driver
/// without the app, or once more. The session's `mails` say what came of it. The same
/// Idempotency-Key is the same mail.
#[utoipa::path(post, path = "/operator/sessions/{session_id}/receipt",
    tag = "after the sale", operation_id = "mail_receipt",
    params(("session_id" = String, Path), ("Idempotency-Key" = String, Header)),
    request_body = MailBody,
    security(("jwt" = ["support", "finance"])),
    responses((status = 202, description = "It is being sent", body = MailView)))]
async fn mail(
    operator: Operator<MailReceipts>,
    State(api): State<Api>,
    log: Log,
    headers: HeaderMap,
    Param(id): Param<SessionId>,
    Body(body): Body<MailBody>,
) -> Result<(StatusCode, Json<MailView>), Problem> {
    log.session(id);
    let once = idempotency_key(&headers)?;
    let key = Requested::key(&digest(once));
    let mut check = Check::default();
    let to = check.parse("/email", &body.email);
    let to: EmailAddress = check.finish(|| to)?;
    if !api.sends_mail {
        let detail = "The deployment names no sender of mail (parameter ReceiptSender).";
        return Err(Problem::new(ProblemType::Conflict, detail));
    }
    let file = api.store.session_file(id).await?;
    let what = asked(&file, body.credit_note.as_deref())?;
    // With the key, which is nowhere stored: the address cannot be guessed from the digest.
    let request = digest(&format!("{once} {what:?} {}", to.as_str()));
    let (by, at) = (operator.subject.clone(), log.now());
    let requested = Requested { by, at, request: request.clone(), address: Some(to.clone()) };
    let mail = Mail::new(what, &to, Some(requested));
    let event = Event::ReceiptRequested { session_id: id, mail: key.clone() };
    let envelope = Envelope::new(event, log.now(), log.trace());
    let mail = match api.store.request_mail(id, &key, &mail, &envelope).await? {
        None => mail,
        Some(standing) => {
            let before = standing.requested.as_ref().map(|before| &before.request);
            if before != Some(&request) {
                return Err(key_reused());
            }
            log.outcome("repeat");
            standing
        }
    };
    Ok((StatusCode::ACCEPTED, Json(MailView::of(&mail, &file))))
}

/// What is to be mailed.
fn asked(file: &SessionFile, credit_note: Option<&str>) -> Result<Mailing, Problem> {
    priced(file)?;
    let Some(number) = credit_note else { return Ok(Mailing::Receipt) };
    let note = file.credit_notes.iter().find(|(_, note)| note.number == number);
    let (credits, _) = note.ok_or_else(|| Problem::not_found("credit note of this session"))?;
    Ok(Mailing::CreditNote { credits: credits.clone() })
}

impl MailView {
    /// A mail about the session of `file`.
    pub(crate) fn of(mail: &Mail, file: &SessionFile) -> Self {
        let (what, credits) = match &mail.what {
            Mailing::Receipt => ("receipt", None),
            Mailing::Owed => ("owed", None),
            Mailing::CreditNote { credits } => ("credit_note", Some(credits)),
        };
        let mut notes = file.credit_notes.iter();
        let note = notes.find(|(key, _)| Some(key) == credits);
        let (state, at, message_id, code) = match mail.outcome.clone() {
            None => ("wanted", mail.tried_at, None, None),
            Some(MailOutcome::Sent { message_id, at }) => {
                ("sent", Some(at), Some(message_id), None)
            }
            Some(MailOutcome::Refused { code, at }) => ("refused", Some(at), None, Some(code)),
        };
        Self {
            what,
            credit_note: note.map(|(_, note)| note.number.clone()),
            to: mail.to.clone(),
            requested_by: mail.requested.as_ref().map(|asked| asked.by.clone()),
            state,
            at,
            message_id,
            code,
        }
    }
}
