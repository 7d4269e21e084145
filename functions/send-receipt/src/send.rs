//! Load, decide, store, send, store.

use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use messages::{Envelope, Event};
use network::{EmailAddress, Site};
use quantities::SessionId;
use receipts::{Letter, Mail, MailOutcome, Mailing, Paid, Receipt, Turn};
use runtime::{Invocation, Metric};
use store::{Saved, SessionFile, Store};

use crate::{
    due::{due, paid},
    mailer::{MailError, Mailer},
};

pub(crate) struct Sender {
    pub(crate) store: Store,
    /// None: the deployment names no sender, so nothing is sent.
    pub(crate) mailer: Option<Mailer>,
    /// Where drivers settle what they owe.
    pub(crate) app_url: String,
    /// How long an invocation can last.
    pub(crate) patience: TimeDelta,
}

/// A mail as it stands, and where it goes.
struct Addressed {
    key: String,
    mail: Mail,
    to: EmailAddress,
}

impl Sender {
    pub(crate) async fn on_event(
        &self,
        envelope: Envelope,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let event = envelope.event;
        let Some(session_id) = event.session_id() else {
            bail!("send-receipt does not know what to do with {}", event.event_type());
        };
        let Some(mailer) = &self.mailer else {
            return Box::pin(self.refuse(&event, session_id, invocation)).await;
        };
        let found = match &event {
            Event::ReceiptRequested { mail, .. } => {
                let file = self.store.session_file(session_id).await?;
                let addressed = requested(&file, mail)?;
                addressed.map(|addressed| (file, addressed))
            }
            _ => self.wished(&event, session_id, invocation).await?,
        };
        let Some((file, addressed)) = found else { return Ok(()) };
        self.send(mailer, &file, addressed, invocation).await
    }

    /// Without a sender nothing is mailed. What somebody asked for before there was none is told to
    /// be refused, so that its address is not kept for ever.
    async fn refuse(
        &self,
        event: &Event,
        session_id: SessionId,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        if let Event::ReceiptRequested { mail, .. } = event
            && let file = self.store.session_file(session_id).await?
            && let Some(Addressed { key, mail, .. }) = requested(&file, mail)?
        {
            let (code, at) = ("NoSender".to_owned(), invocation.now());
            let refused = mail.ended(MailOutcome::Refused { code, at });
            self.store.end_mail(session_id, &key, &refused).await?;
        }
        invocation.outcome("no sender");
        Ok(())
    }

    /// The mail that the session's driver wants upon `event`, if they want one and it is time.
    async fn wished(
        &self,
        event: &Event,
        session_id: SessionId,
        invocation: &Invocation,
    ) -> anyhow::Result<Option<(SessionFile, Addressed)>> {
        invocation.outcome("nobody wants it");
        let session = self.store.session(session_id).await?;
        let Some(driver) = session.driver_id else { return Ok(None) };
        let Some(to) = self.store.wallet(&driver).await?.receipts_to else { return Ok(None) };
        let file = self.store.session_file(session_id).await?;
        let Some(what) = due(event, &file) else {
            invocation.outcome("not yet");
            return Ok(None);
        };
        let key = what.key();
        let mail = standing(&file, &key).unwrap_or_else(|| Mail::new(what, &to, None));
        // The driver may have another address by now.
        let mail = Mail { to: to.masked(), ..mail };
        Ok(Some((file, Addressed { key, mail, to })))
    }

    async fn send(
        &self,
        mailer: &Mailer,
        file: &SessionFile,
        addressed: Addressed,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let Addressed { key, mail, to } = addressed;
        let mail = match mail.turn(invocation.now(), self.patience) {
            Turn::Send(mail) => mail,
            Turn::Done => {
                invocation.outcome("repeat");
                return Ok(());
            }
            Turn::Wait => bail!("the mail may be on its way: looking again later"),
        };
        let site = self.store.site(&file.session.site_id).await?.context("the site is gone")?;
        let letter = self.letter(file, &mail.what, site)?;
        let session_id = file.session.id;
        if self.store.begin_mail(session_id, &key, &mail).await? == Saved::Duplicate {
            bail!("somebody else is sending the mail: looking again later");
        }
        let at = invocation.now();
        let (outcome, told) = match mailer.send(&to, &letter).await {
            Ok(message_id) => (MailOutcome::Sent { message_id, at }, "sent"),
            Err(MailError::Refused { code }) => {
                invocation.count(Metric::RefusedMails, 1);
                (MailOutcome::Refused { code, at }, "refused")
            }
            Err(error) => return Err(error.into()),
        };
        // Duplicate: we took so long that somebody else sends it again, and will say so.
        self.store.end_mail(session_id, &key, &mail.ended(outcome)).await?;
        invocation.outcome(told);
        Ok(())
    }

    fn letter(&self, file: &SessionFile, what: &Mailing, site: Site) -> anyhow::Result<Letter> {
        if let Mailing::CreditNote { credits } = what {
            let note = file.credit_notes.iter().find(|(key, _)| key == credits);
            let (_, note) = note.context("there is no such credit note")?;
            return Ok(note.letter(&site));
        }
        let price = file.rated.clone().context("a receipt of a session without a price")?;
        let paid = paid(file, &price);
        let mut sentences = vec![paid.to_string()];
        if let Paid::Owed { .. } = paid {
            let link = file.payment.as_ref().and_then(|payment| payment.open_link());
            let at = link.map_or(&self.app_url, |link| &link.url);
            sentences.push(format!("Pay it here: {at}"));
        }
        let credit_notes = file.credit_notes.iter().map(|(_, note)| note.clone()).collect();
        let session = file.session.clone();
        let receipt = Receipt { session, site, price, paid: sentences, credit_notes };
        Ok(match paid {
            Paid::Owed { owed, .. } => receipt.reminder(owed),
            _ => receipt.letter(),
        })
    }
}

/// The mail that somebody asked for; `None`: it has gone.
fn requested(file: &SessionFile, key: &str) -> anyhow::Result<Option<Addressed>> {
    let mail = standing(file, key).context("there is no such mail")?;
    let to = mail.requested.as_ref().and_then(|asked| asked.address.clone());
    Ok(to.map(|to| Addressed { key: key.to_owned(), mail, to }))
}

fn standing(file: &SessionFile, key: &str) -> Option<Mail> {
    file.mails.iter().find(|(known, _)| known == key).map(|(_, mail)| mail.clone())
}
