//! What happens at a reader. Events only say where to look: `authorize-payment` asks Stripe what is
//! so, whatever came first, twice or late.

use messages::{Envelope, Event};
use network::Connector;
use payments::webhook::{ReaderEvent, StripeEvent};
use quantities::{ChargePointId, ConnectorId};
use runtime::Invocation;

use crate::{api::Api, carry_out::Failed};

/// Follows `terminal.reader.…`: it names the reader, so each of its connectors is looked at.
pub(crate) async fn follow(api: &Api, event: &StripeEvent, log: &Invocation) -> Result<(), Failed> {
    let said = ReaderEvent::read(event)?;
    let readers = api.store.readers().await?;
    let reader = readers.into_iter().find(|reader| reader.stripe_reader == said.reader);
    for connector in reader.into_iter().flat_map(|reader| reader.connectors) {
        let Connector { charge_point_id, connector_id } = connector;
        look(api, event, charge_point_id, connector_id, log).await?;
    }
    log.outcome("recorded");
    Ok(())
}

/// Tells `authorize-payment` that there is news at a connector.
pub(crate) async fn look(
    api: &Api,
    event: &StripeEvent,
    charge_point_id: ChargePointId,
    connector_id: ConnectorId,
    log: &Invocation,
) -> Result<(), Failed> {
    let due = Event::TapDue { charge_point_id, connector_id, cause: event.id.clone() };
    api.store.tell_once(&Envelope::new(due, log.now(), log.trace())).await?;
    Ok(())
}
