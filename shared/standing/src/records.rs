//! What is read and written.

use network::{Entitlement, Owed, Wallet};
use quantities::{DriverId, IdTag, SessionId};
use store::{Debtor, Saved, Store, StoreError};

/// What a payment says of a debt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debt {
    /// Of which session.
    pub session_id: SessionId,
    /// The version of the payment that says so.
    pub version: u64,
    /// What is owed; nothing, if absent.
    pub owed: Option<Owed>,
}

/// Where it is kept. Every read is of what stands now; only [`Records::indexed_tags`] may lag
/// behind.
pub trait Records: Sync {
    /// What the payment of a session says. None: there is no payment.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn debt(
        &self,
        session_id: SessionId,
    ) -> impl Future<Output = Result<Option<Debt>, StoreError>> + Send;

    /// A driver's wallet.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn wallet(&self, driver: &DriverId) -> impl Future<Output = Result<Wallet, StoreError>> + Send;

    /// A tag's entry.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn entitlement(
        &self,
        id_tag: &IdTag,
    ) -> impl Future<Output = Result<Option<Entitlement>, StoreError>> + Send;

    /// The driver's tags as an index has them: those from before wallets listed them.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn indexed_tags(
        &self,
        driver: &DriverId,
    ) -> impl Future<Output = Result<Vec<IdTag>, StoreError>> + Send;

    /// Notes that `debtor` owes `owes`, unless its record or the payment behind `debt` has moved.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn note_owed(
        &self,
        debt: &Debt,
        debtor: Debtor<'_>,
        owes: &[Owed],
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;

    /// Stores an entry over the one whose revision it has and lists it in its driver's wallet, unless
    /// that owes something else by now.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::Stale`] when the entry has moved.
    fn put(
        &self,
        entitlement: &Entitlement,
        wallet: Option<&Wallet>,
    ) -> impl Future<Output = Result<Saved, StoreError>> + Send;
}

impl Records for Store {
    async fn debt(&self, session_id: SessionId) -> Result<Option<Debt>, StoreError> {
        let Some(payment) = self.payment(session_id).await? else { return Ok(None) };
        let owed = payment.bars().map(|debt| Owed {
            session_id,
            amount: payment.owed,
            since: debt.refused_at,
            driver_id: None,
        });
        Ok(Some(Debt { session_id, version: payment.version, owed }))
    }

    async fn wallet(&self, driver: &DriverId) -> Result<Wallet, StoreError> {
        self.wallet(driver).await
    }

    async fn entitlement(&self, id_tag: &IdTag) -> Result<Option<Entitlement>, StoreError> {
        self.entitlement(id_tag).await
    }

    async fn indexed_tags(&self, driver: &DriverId) -> Result<Vec<IdTag>, StoreError> {
        let known = self.entitlements_of(driver).await?;
        Ok(known.into_iter().map(|known| known.id_tag).collect())
    }

    async fn note_owed(
        &self,
        debt: &Debt,
        debtor: Debtor<'_>,
        owes: &[Owed],
    ) -> Result<Saved, StoreError> {
        self.note_owed((debt.session_id, debt.version), debtor, owes).await
    }

    async fn put(
        &self,
        entitlement: &Entitlement,
        wallet: Option<&Wallet>,
    ) -> Result<Saved, StoreError> {
        self.put_entitlement(entitlement, wallet).await
    }
}
