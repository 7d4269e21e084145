//! A payment has moved: what is owed now, on every record.

use std::collections::BTreeSet;

use network::{Owed, Payer, owes_now};
use quantities::{DriverId, IdTag, SessionId};
use store::{Debtor, Saved, StoreError};

use crate::{Debt, Records};

/// How often it begins anew because payment or records moved, before its message has to come again.
const ATTEMPTS_MAX: u32 = 5;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// Something is owed for the session.
    Owes,
    /// Nothing is.
    OwesNothing,
}

/// Why a debt could not be noted. All are worth another try.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The records could not be read or written.
    #[error("the records could not be read or written")]
    Store(#[from] StoreError),
    /// The session has no payment.
    #[error("there is no payment of the session")]
    NoPayment,
    /// Payment or records moved all the time.
    #[error("payment or records moved {ATTEMPTS_MAX} times while the debt was noted")]
    Moving,
}

/// Notes what is owed for a session of `driver`'s, if they are known, that was started with
/// `id_tag`. What the payment says now counts, whatever the message said that brought it up.
///
/// # Errors
///
/// [`NoteError`]: the message has to come again.
pub async fn note<R: Records>(
    records: &R,
    session_id: SessionId,
    driver: Option<&DriverId>,
    id_tag: &IdTag,
) -> Result<Noted, NoteError> {
    for _ in 0..ATTEMPTS_MAX {
        let mut debt = records.debt(session_id).await?.ok_or(NoteError::NoPayment)?;
        if let Some(owed) = &mut debt.owed {
            owed.driver_id = driver.cloned();
        }
        let noted = match driver {
            Some(driver) => of_driver(records, &debt, driver, id_tag).await?,
            None => on_tag(records, &debt, id_tag, None).await?,
        };
        if noted == Saved::New {
            let owes = debt.owed.is_some();
            return Ok(if owes { Noted::Owes } else { Noted::OwesNothing });
        }
    }
    Err(NoteError::Moving)
}

/// On the wallet, and then on each tag of the driver; [`Saved::Duplicate`] when one of them, or the
/// payment, has moved.
async fn of_driver<R: Records>(
    records: &R,
    debt: &Debt,
    driver: &DriverId,
    id_tag: &IdTag,
) -> Result<Saved, StoreError> {
    // Which tags there are is read with, or after, what the wallet says: from then on whoever makes
    // one has seen it.
    let mut wallet = records.wallet(driver).await?;
    let owes = owes_now(&wallet.owes, debt.session_id, debt.owed.as_ref());
    if owes != wallet.owes {
        let debtor = Debtor::Driver { driver, seen: &wallet.owes };
        if records.note_owed(debt, debtor, &owes).await? == Saved::Duplicate {
            return Ok(Saved::Duplicate);
        }
        wallet = records.wallet(driver).await?;
    }
    let mut tags: BTreeSet<IdTag> = wallet.id_tags;
    tags.extend(records.indexed_tags(driver).await?);
    tags.insert(id_tag.clone());
    for tag in &tags {
        if on_tag(records, debt, tag, Some(driver)).await? == Saved::Duplicate {
            return Ok(Saved::Duplicate);
        }
    }
    Ok(Saved::New)
}

/// On one tag: the debt of `driver`, if it is theirs, or of nobody known, which is the tag's own.
async fn on_tag<R: Records>(
    records: &R,
    debt: &Debt,
    id_tag: &IdTag,
    driver: Option<&DriverId>,
) -> Result<Saved, StoreError> {
    let Some(known) = records.entitlement(id_tag).await? else { return Ok(Saved::New) };
    // Whoever has the tag now need not be who had it then.
    let is_theirs = driver.is_none() || known.driver_id.as_ref() == driver;
    // The tag of a start from the app opens one session, which has begun; a reader's is nobody's:
    // the next to present a card there owes nothing.
    let is_nobodys = known.app_start.is_some() || known.payer == Payer::Reader;
    let now: Option<&Owed> = debt.owed.as_ref().filter(|_| is_theirs);
    let owes = owes_now(&known.owes, debt.session_id, now);
    if is_nobodys || owes == known.owes {
        return Ok(Saved::New);
    }
    let debtor = Debtor::Tag { id_tag, revision: known.revision };
    records.note_owed(debt, debtor, &owes).await
}
