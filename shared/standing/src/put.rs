//! An operator makes or changes a tag: it says what is owed by whoever has it from now on.

use network::{Entitlement, Owed, owes_now};
use store::{Saved, StoreError};

use crate::Records;

/// How often it begins anew because the wallet moved.
const ATTEMPTS_MAX: u32 = 5;

/// Stores an entry over `before` with what is owed: by its driver, whose wallet says it, and, where a
/// session had no driver, by the tag itself. A new tag is no way round a debt, a changed one forgets
/// none, and one that goes to somebody else leaves its driver's behind.
///
/// # Errors
///
/// [`StoreError`]; [`StoreError::Stale`] when `before` is no longer what stands, or the driver's
/// debts moved all the time.
pub async fn put<R: Records>(
    records: &R,
    mut entitlement: Entitlement,
    before: Option<&Entitlement>,
) -> Result<Entitlement, StoreError> {
    let before = before.map(|before| before.owes.as_slice()).unwrap_or_default();
    let own: Vec<Owed> = before.iter().filter(|owed| owed.driver_id.is_none()).cloned().collect();
    for _ in 0..ATTEMPTS_MAX {
        let wallet = match &entitlement.driver_id {
            Some(driver) => Some(records.wallet(driver).await?),
            None => None,
        };
        let of_driver = wallet.iter().flat_map(|wallet| &wallet.owes);
        let merge = |owes: Vec<Owed>, owed: &Owed| owes_now(&owes, owed.session_id, Some(owed));
        entitlement.owes = of_driver.fold(own.clone(), merge);
        if records.put(&entitlement, wallet.as_ref()).await? == Saved::New {
            return Ok(entitlement);
        }
    }
    Err(StoreError::Stale { what: "what the driver owes" })
}
