//! Wallets: key `DRIVER#<driver>` of the entitlements table. And what drivers owe, which is noted
//! there and on each of their tags, so that whoever starts a session reads it with the one record
//! that they read anyway.

use aws_sdk_dynamodb::types::AttributeValue;
use network::{EmailAddress, Owed, Payer, StripeCustomerId, StripePaymentMethodId, Wallet};
use quantities::{DriverId, IdTag, SessionId};
use serde::Serialize;

use crate::{
    Change, Saved, Store, StoreError,
    entitlements::{at_revision, token_pk},
    item::{PK, SK, from_item, s, to_item},
    outbox::Transacted,
    payments::PAYMENT,
    sessions::session_pk,
};

fn driver_pk(driver: &DriverId) -> String {
    format!("DRIVER#{driver}")
}

/// On whose record a debt is noted.
#[derive(Debug, Clone, Copy)]
pub enum Debtor<'a> {
    /// A wallet.
    Driver {
        /// The driver's.
        driver: &'a DriverId,
        /// What it said that they owe when it was read.
        seen: &'a [Owed],
    },
    /// An entry.
    Tag {
        /// The tag's.
        id_tag: &'a IdTag,
        /// Its revision when it was read.
        revision: u64,
    },
}

impl Store {
    /// A driver's wallet; an empty one, if there is none yet. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn wallet(&self, driver: &DriverId) -> Result<Wallet, StoreError> {
        let item = self.get(&self.tables.entitlements, &driver_pk(driver), None).await?;
        item.map_or_else(|| Ok(Wallet::empty(driver.clone())), from_item)
    }

    /// Stores the customer that a driver has at Stripe; the first one stands. Gives the wallet as
    /// it is then.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn begin_wallet(
        &self,
        driver: &DriverId,
        customer: &StripeCustomerId,
    ) -> Result<Wallet, StoreError> {
        let values = vec![(":driver", s(driver.as_str())), (":customer", s(&customer.0))];
        let begun = self
            .update(
                &self.tables.entitlements,
                &[(PK, &driver_pk(driver))],
                "SET driver_id = :driver, customer = :customer",
                "attribute_not_exists(customer)",
                &[],
                values,
            )
            .await?;
        match begun {
            Some(item) => from_item(item),
            None => self.wallet(driver).await,
        }
    }

    /// Stores which payment method a driver pays with, if any. Their customer must be known.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_default_method(
        &self,
        driver: &DriverId,
        method: Option<&StripePaymentMethodId>,
    ) -> Result<(), StoreError> {
        let (expression, values) = match method {
            Some(method) => ("SET default_method = :method", vec![(":method", s(&method.0))]),
            None => ("REMOVE default_method", vec![]),
        };
        let table = &self.tables.entitlements;
        let condition = "attribute_exists(customer)";
        let pk = driver_pk(driver);
        self.update(table, &[(PK, &pk)], expression, condition, &[], values).await?;
        Ok(())
    }

    /// Stores where a driver's receipts are mailed; `None`: nowhere, and the address is forgotten.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_receipts_to(
        &self,
        driver: &DriverId,
        to: Option<&EmailAddress>,
    ) -> Result<(), StoreError> {
        let (expression, condition, values) = match to {
            Some(to) => (
                "SET driver_id = :driver, receipts_to = :to",
                "attribute_not_exists(receipts_to) OR receipts_to <> :to",
                vec![(":driver", s(driver.as_str())), (":to", s(to.as_str()))],
            ),
            None => ("REMOVE receipts_to", "attribute_exists(receipts_to)", vec![]),
        };
        let table = &self.tables.entitlements;
        let pk = driver_pk(driver);
        self.update(table, &[(PK, &pk)], expression, condition, &[], values).await?;
        Ok(())
    }

    /// Changes who pays for a tag, unless somebody else has changed it since it was read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn set_payer(
        &self,
        id_tag: &IdTag,
        seen: &Payer,
        payer: &Payer,
    ) -> Result<Saved, StoreError> {
        let map = |payer: &Payer| to_item("TOKEN#…", payer).map(AttributeValue::M);
        let values = vec![(":seen", map(seen)?), (":payer", map(payer)?), (":one", one())];
        let updated = self
            .update(
                &self.tables.entitlements,
                &[(PK, &token_pk(id_tag))],
                "SET payer = :payer ADD revision :one",
                "payer = :seen",
                &[],
                values,
            )
            .await?;
        Ok(if updated.is_some() { Saved::New } else { Saved::Duplicate })
    }

    /// Notes that `debtor` owes `owes`, as long as the payment of `session_id` is at the `version`
    /// that says so: of two who note at once, the one who knows less notes nothing. `Duplicate` when
    /// the payment or the record has moved: read both and decide again.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn note_owed(
        &self,
        (session_id, version): (SessionId, u64),
        debtor: Debtor<'_>,
        owes: &[Owed],
    ) -> Result<Saved, StoreError> {
        let mut values = Vec::new();
        let mut expression = if owes.is_empty() {
            "REMOVE owes".to_owned()
        } else {
            values.push((":owes", list(owes)?));
            "SET owes = :owes".to_owned()
        };
        let (pk, condition) = match debtor {
            Debtor::Driver { driver, seen } => {
                if !owes.is_empty() {
                    expression.push_str(", driver_id = :driver");
                    values.push((":driver", s(driver.as_str())));
                }
                (driver_pk(driver), owing(seen, &mut values)?.to_owned())
            }
            Debtor::Tag { id_tag, revision } => {
                expression.push_str(" ADD revision :one");
                let (unmoved, seen) = at_revision(revision);
                values.extend([(":one", one()), (":seen", seen)]);
                (token_pk(id_tag), format!("attribute_exists(id_tag) AND ({unmoved})"))
            }
        };
        let version = vec![(":version", s(version.to_string()))];
        let payment = [(PK, session_pk(session_id)), (SK, PAYMENT.to_owned())];
        let payment = payment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let change = Change::default()
            .check(&self.tables.sessions, &payment, "version = :version", version)?
            .update(
                &self.tables.entitlements,
                &[(PK, &pk)],
                &expression,
                &condition,
                &[],
                values,
            )?;
        Ok(match self.commit(change).await? {
            Transacted::Committed => Saved::New,
            Transacted::Refused { .. } => Saved::Duplicate,
        })
    }

    /// Lists a tag in `wallet` with the change, as long as its driver owes what it says.
    pub(crate) fn list_tag(
        &self,
        change: Change,
        wallet: &Wallet,
        id_tag: &IdTag,
    ) -> Result<Change, StoreError> {
        let driver = &wallet.driver_id;
        let mut values = vec![
            (":driver", s(driver.as_str())),
            (":tag", AttributeValue::Ss(vec![id_tag.as_str().to_owned()])),
        ];
        let condition = owing(&wallet.owes, &mut values)?;
        let expression = "SET driver_id = :driver ADD id_tags :tag";
        let (table, pk) = (&self.tables.entitlements, driver_pk(driver));
        change.update(table, &[(PK, &pk)], expression, condition, &[], values)
    }
}

/// The condition that a wallet says what it said when it was read.
fn owing(
    seen: &[Owed],
    values: &mut Vec<(&str, AttributeValue)>,
) -> Result<&'static str, StoreError> {
    if seen.is_empty() {
        return Ok("attribute_not_exists(owes)");
    }
    values.push((":seen", list(seen)?));
    Ok("owes = :seen")
}

fn one() -> AttributeValue {
    AttributeValue::N("1".to_owned())
}

/// As it is in a record.
fn list(owes: &[Owed]) -> Result<AttributeValue, StoreError> {
    #[derive(Serialize)]
    struct Row<'a> {
        owes: &'a [Owed],
    }
    let row = to_item("DRIVER#…", &Row { owes })?.remove("owes");
    Ok(row.unwrap_or_else(|| AttributeValue::L(vec![])))
}
