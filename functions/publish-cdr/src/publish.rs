//! Load, build, store, post.

use anyhow::{Context as _, anyhow, bail};
use messages::{Envelope, Event};
use network::{Payer, RoamingPartner};
use ocpi::{Cdr, read::Problem};
use quantities::SessionId;
use rating::{
    PricedSession,
    cdr::{CdrInput, build, taxes},
};
use runtime::{Invocation, Metric};
use serde_json::Value;
use session::Session;
use store::{Delivery, SessionFile, Store};

use crate::partner::Partners;

/// Its event comes after its price.
const NO_PRICE: &str = "a rated session has no price";

pub(crate) struct Publisher {
    pub(crate) store: Store,
    pub(crate) partners: Partners,
    pub(crate) country_code: String,
    pub(crate) party_id: String,
}

impl Publisher {
    pub(crate) async fn on_event(
        &self,
        envelope: Envelope,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let (session_id, is_credit) = match envelope.event {
            Event::SessionRated { session_id, .. } => (session_id, false),
            Event::SessionCredited { session_id, .. } => (session_id, true),
            other => bail!("publish-cdr does not know what to do with {}", other.event_type()),
        };
        let file = self.store.session_file(session_id).await?;
        let partner = self.partner_of(&file.session).await?;
        let cdrs = Box::pin(self.cdrs(&file, is_credit, partner.as_ref(), invocation)).await?;
        let Some(partner) = partner else {
            invocation.outcome("stored");
            return Ok(());
        };
        let priced = file.rated.context(NO_PRICE)?;
        // What is taken back has to be there first, whichever message comes first.
        for (name, cdr) in cdrs {
            let (event_id, cdr) =
                (format!("{name}:{session_id}"), written(&cdr, &priced, &partner)?);
            self.post_once(session_id, &event_id, &partner, &cdr, invocation).await?;
        }
        Ok(())
    }

    /// The CDR of a session and, when it is taken back, its credit CDR; each with what its
    /// deliveries are logged under. The first one that is stored stands, and is the one that is sent.
    async fn cdrs(
        &self,
        file: &SessionFile,
        is_credit: bool,
        partner: Option<&RoamingPartner>,
        invocation: &Invocation,
    ) -> anyhow::Result<Vec<(&'static str, Cdr)>> {
        let session_id = file.session.id;
        let cdr = match &file.cdr {
            Some(cdr) => cdr.clone(),
            None => {
                let priced = file.rated.as_ref().context(NO_PRICE)?;
                let cdr = self.build(&file.session, priced, partner, invocation).await?;
                self.store.keep_cdr(session_id, &cdr).await?
            }
        };
        let credit = match &file.credit_cdr {
            Some(credit) => Some(credit.clone()),
            None if is_credit => {
                let credit = cdr.credited(invocation.now());
                Some(self.store.keep_credit_cdr(session_id, &credit).await?)
            }
            None => None,
        };
        let credit = credit.map(|credit| ("credit-cdr", credit));
        Ok([("cdr", cdr)].into_iter().chain(credit).collect())
    }

    async fn partner_of(&self, session: &Session) -> anyhow::Result<Option<RoamingPartner>> {
        let Payer::Roaming { partner_id, .. } = &session.payer else { return Ok(None) };
        let partner = self.store.partner(partner_id).await?;
        Ok(Some(
            partner.with_context(|| format!("roaming partner {partner_id} is not configured"))?,
        ))
    }

    async fn build(
        &self,
        session: &Session,
        priced: &PricedSession,
        partner: Option<&RoamingPartner>,
        invocation: &Invocation,
    ) -> anyhow::Result<Cdr> {
        let tariff = session.tariff.as_ref().context("a rated session has no tariff")?;
        let tariff = self.store.tariff(tariff).await?;
        let site = self.store.site(&session.site_id).await?.context("the site is gone")?;
        let charger = self.store.charger(&session.charge_point_id).await?;
        let charger = charger.context("the charger is gone")?;
        Ok(build(&CdrInput {
            session,
            priced,
            tariff: &tariff,
            site: &site,
            charger: &charger,
            partner,
            country_code: &self.country_code,
            party_id: &self.party_id,
            now: invocation.now(),
        })?)
    }

    /// Posts the CDR unless the log says that the partner has it. A crash between its answer and
    /// our log posts it again: the partner knows it by its id, and CDRs never change.
    async fn post_once(
        &self,
        session_id: SessionId,
        event_id: &str,
        partner: &RoamingPartner,
        cdr: &Value,
        invocation: &Invocation,
    ) -> anyhow::Result<()> {
        let recipient = partner.id.as_str();
        let log = self.store.deliveries(event_id).await?;
        let before = log.into_iter().find(|delivery| delivery.recipient == recipient);
        if before.as_ref().is_some_and(|delivery| delivery.delivered_at.is_some()) {
            invocation.outcome("repeat");
            return Ok(());
        }
        let posted = self.partners.post(partner, cdr, session_id).await;
        let delivery = Delivery {
            recipient: recipient.to_owned(),
            attempts: before.map_or(0, |delivery| delivery.attempts) + 1,
            last_status: posted.as_ref().ok().copied(),
            last_attempt_at: invocation.now(),
            delivered_at: posted.is_ok().then_some(invocation.now()),
        };
        self.store.log_delivery(event_id, &delivery).await?;
        posted?;
        invocation.count(Metric::Deliveries, 1);
        invocation.outcome("posted");
        Ok(())
    }
}

/// The CDR as the partner's version of OCPI writes it.
fn written(cdr: &Cdr, priced: &PricedSession, partner: &RoamingPartner) -> anyhow::Result<Value> {
    let taxes = taxes(priced)?;
    let taxes = if cdr.credit == Some(true) { taxes.credited() } else { taxes };
    let written = ocpi::write::cdr(cdr, taxes, partner.version);
    let refused = |problems: Vec<Problem>| {
        let problems: Vec<_> = problems.iter().map(Problem::to_string).collect();
        anyhow!("OCPI {} forbids the CDR: {}", partner.version, problems.join("; "))
    };
    Ok(written.map_err(refused)?.json)
}
