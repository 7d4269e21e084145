//! What the operator maintains: sites, offers, tariff and plan versions, partners, subscribers,
//! readers. Partition: the kind; sort key: the id. Few and small, so each kind is one partition that can be listed.

use network::{Offer, Offers, Reader, RoamingPartner, Site, Tier, WebhookSubscriber};
use plans::PlanVersion;
use quantities::{PartnerId, PlanId, PlanRef, ReaderId, SiteId, SubscriberId, TariffId, TariffRef};
use rating::TariffVersion;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Change, Saved, Store, StoreError,
    access::Range,
    item::{Item, PK, SK, from_document, from_item, s, to_item},
    sessions::document,
};

pub(crate) const SITE: &str = "SITE";
pub(crate) const OFFERS: &str = "OFFERS";
const TARIFF: &str = "TARIFF";
const PLAN: &str = "PLAN";
const PARTNER: &str = "PARTNER";
const SUBSCRIBER: &str = "SUBSCRIBER";
const READER: &str = "READER";

/// What changes with every change of an item that is read, changed and written back.
const REVISION: &str = "revision";

/// How often such a change is tried.
const ATTEMPTS_MAX: u32 = 5;

/// Sort key of a version, so that versions sort by number.
fn version_sk(id: &str, version: u32) -> String {
    format!("{id}#{version:06}")
}

fn tariff_sk(tariff: &TariffRef) -> String {
    version_sk(tariff.id.as_str(), tariff.version)
}

fn plan_sk(plan: &PlanRef) -> String {
    version_sk(plan.id.as_str(), plan.version)
}

impl Store {
    /// A site.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn site(&self, id: &SiteId) -> Result<Option<Site>, StoreError> {
        self.entry(SITE, id.as_str()).await
    }

    /// All sites.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn sites(&self) -> Result<Vec<Site>, StoreError> {
        self.entries(SITE).await
    }

    /// Stores a site over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_site(&self, site: &Site) -> Result<(), StoreError> {
        self.put_entry(SITE, site.id.as_str(), site).await
    }

    /// What a site offers; nothing if it never offered anything.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn offers(&self, site: &SiteId) -> Result<Offers, StoreError> {
        Ok(self.entry(OFFERS, site.as_str()).await?.unwrap_or_default())
    }

    /// Stores what a site offers over what it offered.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_offers(&self, site: &SiteId, offers: &Offers) -> Result<(), StoreError> {
        self.put_entry(OFFERS, site.as_str(), offers).await
    }

    /// Puts `offer` on sale at a site for `tier` and gives what the site offers then. Two people
    /// who do so at once both have their way: an offer that got lost would be a wrong price.
    ///
    /// # Errors
    ///
    /// [`StoreError::Stale`] when others change the offers all the time.
    pub async fn add_offer(
        &self,
        site: &SiteId,
        tier: &Tier,
        offer: &Offer,
    ) -> Result<Offers, StoreError> {
        let table = &self.tables.catalog;
        for _ in 0..ATTEMPTS_MAX {
            let standing = self.get(table, OFFERS, Some(site.as_str())).await?;
            let seen = standing.as_ref().and_then(|item| item.get(REVISION)?.as_s().ok()).cloned();
            let mut offers: Offers = standing.map(from_item).transpose()?.unwrap_or_default();
            offers.add(tier.clone(), offer.clone());
            let mut item = to_item(site.as_str(), &offers)?;
            item.insert(PK.to_owned(), s(OFFERS));
            item.insert(SK.to_owned(), s(site.as_str()));
            item.insert(REVISION.to_owned(), s(Uuid::new_v4().to_string()));
            let change = match seen {
                None => Change::default().put(table, item, Some("attribute_not_exists(revision)")),
                Some(seen) => {
                    let values = vec![(":seen", s(seen))];
                    Change::default().put_if(table, item, Some("revision = :seen"), values)
                }
            };
            match self.committed(change?, "offers of the site").await {
                Ok(()) => return Ok(offers),
                Err(StoreError::Stale { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Stale { what: "offers of the site" })
    }

    /// A tariff version. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when it was never published.
    pub async fn tariff(&self, tariff: &TariffRef) -> Result<TariffVersion, StoreError> {
        let item = self.get(&self.tables.catalog, TARIFF, Some(&tariff_sk(tariff))).await?;
        let missing = || StoreError::NotFound { what: "tariff", id: tariff.to_string() };
        from_document(&item.ok_or_else(missing)?)
    }

    /// The published versions of a tariff, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn tariff_versions(&self, id: &TariffId) -> Result<Vec<TariffVersion>, StoreError> {
        let prefix = format!("{id}#");
        let range = Range::BeginsWith(&prefix);
        let items = self.query(&self.tables.catalog, TARIFF, range).await?;
        items.iter().map(from_document).collect()
    }

    /// Publishes a version, once: it never changes afterwards.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn publish_tariff(&self, version: &TariffVersion) -> Result<Saved, StoreError> {
        let item = document(TARIFF, &tariff_sk(&version.reference), version)?;
        self.put_new(&self.tables.catalog, item).await
    }

    /// A plan version. One read.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when it was never published.
    pub async fn plan(&self, plan: &PlanRef) -> Result<PlanVersion, StoreError> {
        let item = self.get(&self.tables.catalog, PLAN, Some(&plan_sk(plan))).await?;
        let missing = || StoreError::NotFound { what: "plan", id: plan.to_string() };
        from_document(&item.ok_or_else(missing)?)
    }

    /// The published versions of a plan, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn plan_versions(&self, id: &PlanId) -> Result<Vec<PlanVersion>, StoreError> {
        let prefix = format!("{id}#");
        let range = Range::BeginsWith(&prefix);
        let items = self.query(&self.tables.catalog, PLAN, range).await?;
        items.iter().map(from_document).collect()
    }

    /// Publishes a version of a plan, once: it never changes afterwards.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn publish_plan(&self, version: &PlanVersion) -> Result<Saved, StoreError> {
        let item = document(PLAN, &plan_sk(&version.reference), version)?;
        self.put_new(&self.tables.catalog, item).await
    }

    /// A roaming partner.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn partner(&self, id: &PartnerId) -> Result<Option<RoamingPartner>, StoreError> {
        self.entry(PARTNER, id.as_str()).await
    }

    /// All roaming partners.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn partners(&self) -> Result<Vec<RoamingPartner>, StoreError> {
        self.entries(PARTNER).await
    }

    /// Stores a roaming partner over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_partner(&self, partner: &RoamingPartner) -> Result<(), StoreError> {
        self.put_entry(PARTNER, partner.id.as_str(), partner).await
    }

    /// A webhook subscriber.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn subscriber(
        &self,
        id: &SubscriberId,
    ) -> Result<Option<WebhookSubscriber>, StoreError> {
        self.entry(SUBSCRIBER, id.as_str()).await
    }

    /// All webhook subscribers.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn subscribers(&self) -> Result<Vec<WebhookSubscriber>, StoreError> {
        self.entries(SUBSCRIBER).await
    }

    /// Stores a webhook subscriber over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_subscriber(&self, subscriber: &WebhookSubscriber) -> Result<(), StoreError> {
        self.put_entry(SUBSCRIBER, subscriber.id.as_str(), subscriber).await
    }

    /// Removes a webhook subscriber.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn delete_subscriber(&self, id: &SubscriberId) -> Result<(), StoreError> {
        self.delete(&self.tables.catalog, SUBSCRIBER, id.as_str()).await
    }

    /// A card reader.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn reader(&self, id: &ReaderId) -> Result<Option<Reader>, StoreError> {
        self.entry(READER, id.as_str()).await
    }

    /// All card readers.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn readers(&self) -> Result<Vec<Reader>, StoreError> {
        self.entries(READER).await
    }

    /// Stores a card reader over the one before.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn put_reader(&self, reader: &Reader) -> Result<(), StoreError> {
        self.put_entry(READER, reader.id.as_str(), reader).await
    }

    async fn entry<T: DeserializeOwned>(
        &self,
        kind: &str,
        id: &str,
    ) -> Result<Option<T>, StoreError> {
        self.get(&self.tables.catalog, kind, Some(id)).await?.map(from_item).transpose()
    }

    async fn entries<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, StoreError> {
        let items = self.query(&self.tables.catalog, kind, Range::All).await?;
        items.into_iter().map(from_item).collect()
    }

    async fn put_entry<T: Serialize>(
        &self,
        kind: &str,
        id: &str,
        record: &T,
    ) -> Result<(), StoreError> {
        let mut item: Item = to_item(id, record)?;
        item.insert(PK.to_owned(), s(kind));
        item.insert(SK.to_owned(), s(id));
        self.put(&self.tables.catalog, item).await
    }
}
