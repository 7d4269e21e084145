//! SES.

use std::time::Duration;

use aws_sdk_sesv2::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata as _,
    operation::send_email::SendEmailError,
    types::{Body, Content, Destination, EmailContent, Message},
};
use network::EmailAddress;
use receipts::Letter;
use runtime::Function;

/// SES, and who sends.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    client: Client,
    /// The sender, as mails name it.
    from: String,
    /// What SES does about bounces and complaints, if something is set up.
    configuration_set: Option<String>,
}

/// Why a mail was not sent. SES's own words are left out: they name addresses.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// SES will not take it, however often it is asked.
    #[error("SES refuses the mail ({code})")]
    Refused {
        /// SES's error code.
        code: String,
    },
    /// SES did not answer, wants less at once, or does not let us send at all.
    #[error("SES did not send ({code})")]
    Unsent {
        /// SES's error code.
        code: String,
    },
}

impl Mailer {
    /// The mailer that the deployment sets up; `None` when it names no sender.
    pub(crate) fn of(function: &Function) -> anyhow::Result<Option<Self>> {
        let from = function.variable("RECEIPT_SENDER")?;
        let configuration_set = function.variable("RECEIPT_CONFIGURATION_SET")?;
        // A request that is sent again may be a second mail: once, for a connection that was
        // closed, and the rest is the queue's.
        let config = aws_sdk_sesv2::config::Builder::from(&function.aws)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder().operation_timeout(Duration::from_secs(5)).build(),
            )
            .build();
        let mailer = |from| Self {
            client: Client::from_conf(config),
            from,
            configuration_set: Some(configuration_set).filter(|name| !name.is_empty()),
        };
        Ok(Some(from).filter(|from| !from.is_empty()).map(mailer))
    }

    /// Sends a letter, and gives SES's id of the mail.
    pub(crate) async fn send(
        &self,
        to: &EmailAddress,
        letter: &Letter,
    ) -> Result<String, MailError> {
        let request = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(message(letter)?).build())
            .set_configuration_set_name(self.configuration_set.clone());
        match request.send().await {
            Ok(answer) => Ok(answer.message_id.unwrap_or_default()),
            Err(error) => Err(match error.as_service_error() {
                Some(refused) => sorted(refused, &self.from),
                None => MailError::Unsent { code: "no answer".to_owned() },
            }),
        }
    }
}

fn message(letter: &Letter) -> Result<Message, MailError> {
    let content = |text: &str| {
        let content = Content::builder().data(text).charset("UTF-8").build();
        content.map_err(|_| MailError::Refused { code: "incomplete request".to_owned() })
    };
    let body = Body::builder().text(content(&letter.text)?).html(content(&letter.html)?);
    Ok(Message::builder().subject(content(&letter.subject)?).body(body.build()).build())
}

/// Whether an error is the mail's, or SES's and ours: those are tried again, and end as dead
/// letters, which can be sent back once the sender is what it should be.
///
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors>
fn sorted(error: &SendEmailError, from: &str) -> MailError {
    let code = error.code().unwrap_or("unknown").to_owned();
    // SES names the identities that are not verified: ours, or in its sandbox the recipient's.
    let address = from.rsplit('<').next().unwrap_or(from).trim_end_matches('>');
    let is_ours = error.message().is_some_and(|words| words.contains(address));
    match error {
        SendEmailError::MessageRejected(_) | SendEmailError::BadRequestException(_) if !is_ours => {
            MailError::Refused { code }
        }
        _ => MailError::Unsent { code },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sesv2::{
        error::ErrorMetadata,
        types::error::{BadRequestException, MessageRejected, TooManyRequestsException},
    };

    use super::*;

    const FROM: &str = "Tallywatt <receipts@cpo.example>";

    fn meta(code: &str, message: &str) -> ErrorMetadata {
        ErrorMetadata::builder().code(code).message(message).build()
    }

    fn rejected(who: &str) -> SendEmailError {
        let words = format!(
            "Email address is not verified. The following identities failed the check in region \
             EU-CENTRAL-1: {who}"
        );
        let rejected = MessageRejected::builder().message(&words);
        SendEmailError::MessageRejected(rejected.meta(meta("MessageRejected", &words)).build())
    }

    #[test]
    fn a_refused_address_is_the_mails_and_a_refused_sender_is_ours() {
        let refused = sorted(&rejected("ada@example.com"), FROM);
        assert!(matches!(&refused, MailError::Refused { code } if code == "MessageRejected"));
        assert!(!format!("{refused} {refused:?}").contains("ada"), "{refused:?}");
        assert!(matches!(
            sorted(&rejected("receipts@cpo.example"), FROM),
            MailError::Unsent { .. }
        ));
        let bad = BadRequestException::builder().meta(meta("BadRequestException", "Illegal"));
        let bad = SendEmailError::BadRequestException(bad.build());
        assert!(matches!(sorted(&bad, FROM), MailError::Refused { .. }));
    }

    #[test]
    fn what_passes_is_tried_again() {
        let busy = TooManyRequestsException::builder().meta(meta("TooManyRequestsException", ""));
        let busy = SendEmailError::TooManyRequestsException(busy.build());
        assert!(matches!(sorted(&busy, FROM), MailError::Unsent { .. }));
        let unknown = SendEmailError::generic(meta("AccessDeniedException", "ses:SendEmail"));
        assert!(matches!(sorted(&unknown, FROM), MailError::Unsent { .. }));
    }
}
