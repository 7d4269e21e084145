//! A card at a reader: a kiosk asks for it, and asks again when it came to nothing.

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    kind::Kind,
    plan::{Station, Visit},
    scene::{LOOK_EVERY, Scene, WAIT_MAX},
};

/// Cards of <https://docs.stripe.com/terminal/references/testing#simulated-test-cards>.
const GOOD: &str = "4242424242424242";
const NO_FUNDS: &str = "4000000000009995";

/// Somebody at a reader.
pub(super) struct Kiosk<'a> {
    scene: &'a Scene<'a>,
    token: String,
    path: String,
    device: &'a str,
    number: usize,
    card: &'static str,
    /// Taps asked for.
    asked: u32,
    /// The one under way, once it is known.
    tap: Option<String>,
    presented: bool,
}

impl<'a> Kiosk<'a> {
    pub(super) fn new(
        scene: &'a Scene<'a>,
        station: &Station,
        visit: &Visit,
    ) -> anyhow::Result<Self> {
        let declined = visit.kind == Kind::ReaderDeclined;
        let device = scene.equipment(&station.id)?.device.as_deref();
        Ok(Self {
            scene,
            token: scene.platform.token("kiosk", &["kiosk"])?,
            path: format!("/operator/readers/{}/taps", station.id),
            device: device.unwrap_or_default(),
            number: visit.number,
            card: if declined { NO_FUNDS } else { GOOD },
            asked: 1,
            tap: None,
            presented: false,
        })
    }

    /// Looks until the card has come to what it comes to.
    pub(super) async fn wait(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + WAIT_MAX;
        while Instant::now() < until && self.look().await?.is_none() {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Does the next thing. Something once the card pays for a session, or was declined.
    pub(super) async fn look(&mut self) -> anyhow::Result<Option<()>> {
        let Some(tap) = &self.tap else {
            let key = format!("storm-{}-{}", self.number, self.asked);
            let tap = self.scene.try_post(&self.token, &self.path, &key, &json!({})).await?;
            let id = tap.as_ref().and_then(|tap| tap.get("id")?.as_str());
            self.tap = id.map(str::to_owned);
            return Ok(None);
        };
        let seen = self.scene.try_get(&self.token, &format!("{}/{tap}", self.path)).await;
        let seen = seen.unwrap_or_default();
        let text = |name: &str| seen.get(name).and_then(Value::as_str).unwrap_or_default();
        match (text("status"), text("reason")) {
            ("on_reader", _) if !self.presented => self.presented = self.present().await,
            ("matched", _) => return Ok(Some(())),
            ("released", "refused") if self.card == NO_FUNDS => return Ok(Some(())),
            // It took too long to reach the reader: another tap.
            ("released", _) => {
                (self.asked, self.tap, self.presented) = (self.asked + 1, None, false);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Holds the card to the reader; false when the reader does not wait for one just now.
    async fn present(&self) -> bool {
        let device = self.device;
        let path = format!("/v1/test_helpers/terminal/readers/{device}/present_payment_method");
        let form = [("type", "card_present"), ("card_present[number]", self.card)];
        self.scene.stripe.post(&path, &form).await.is_ok()
    }
}
