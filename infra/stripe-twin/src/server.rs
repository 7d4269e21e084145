//! The server and the handle on it.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    api::World,
    clock::Clock,
    control,
    faults::{DeclineRule, Fault},
    idempotency::{Fingerprint, Keys, Lookup, Saved},
    webhooks::{Outgoing, Sender, WebhookEndpoint},
};

/// How the twin is set up.
#[derive(Debug, Clone)]
pub struct TwinConfig {
    /// The one key it accepts.
    pub api_key: String,
    /// Makes ids and chances the same on every run.
    pub seed: u64,
    /// Endpoints from the start.
    pub webhook_endpoints: Vec<WebhookEndpoint>,
}

impl Default for TwinConfig {
    fn default() -> Self {
        let api_key = "sk_test_tallywatt".to_owned();
        Self { api_key, seed: 1, webhook_endpoints: Vec::new() }
    }
}

/// Why the twin did not start.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// The listener has no address.
    #[error("cannot read the listener's address")]
    Address(#[source] io::Error),
    /// The webhook sender could not be set up.
    #[error("cannot set up the webhook sender")]
    Webhooks(#[source] reqwest::Error),
}

/// A running twin. Dropping the handle stops it.
#[derive(Debug)]
pub struct Twin {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

/// Starts a twin on `listener`.
///
/// # Errors
///
/// [`TwinError`]: the listener has no address, or the webhook sender cannot be set up.
pub fn serve(listener: TcpListener, config: TwinConfig) -> Result<Twin, TwinError> {
    let address = listener.local_addr().map_err(TwinError::Address)?;
    let sender = Sender::new().map_err(TwinError::Webhooks)?;
    let mut world = World::new(config.seed);
    world.undelivered = sender.undelivered.clone();
    let shared = Arc::new(Shared {
        api_key: config.api_key,
        clock: Clock::default(),
        world: Mutex::new(world),
        keys: Mutex::default(),
        endpoints: Mutex::new(config.webhook_endpoints),
        unlucky: Mutex::default(),
        lost: Mutex::default(),
        sender,
    });
    let app = control::router(Arc::clone(&shared));
    let service = app.into_make_service_with_connect_info::<Connection>();
    let task = tokio::spawn(async move {
        let served = axum::serve(ResettableListener(listener), service).await;
        if let Err(error) = served {
            tracing::error!(%error, "the twin stopped");
        }
    });
    Ok(Twin { shared, address, task })
}

impl Twin {
    /// The base URL for clients: `http://127.0.0.1:1234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The key it accepts.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// Everything it knows: `payment_intents`, `charges`, `subscriptions`, counts of requests,
    /// events, faults and webhooks.
    #[must_use]
    pub fn state(&self) -> Value {
        self.shared.state()
    }

    /// Moves its clock: keys and holds expire, subscriptions renew.
    pub fn advance(&self, by: Duration) {
        self.shared.advance(by);
    }

    /// Orders a fault.
    pub fn fault(&self, fault: Fault) {
        self.shared.with_world(|world| world.faults.add(fault));
    }

    /// Takes back every order.
    pub fn clear_faults(&self) {
        self.shared.with_world(|world| world.faults.clear());
    }

    /// Makes an issuer refuse.
    pub fn decline(&self, rule: DeclineRule) {
        self.shared.with_world(|world| world.decline_rules.push(rule));
    }

    /// Changes how events reach every endpoint from now on.
    pub fn disturb_webhooks(&self, change: impl FnMut(&mut WebhookEndpoint)) {
        lock(&self.shared.endpoints).iter_mut().for_each(change);
    }

    /// Sends events from now on to one more endpoint.
    pub fn add_webhook_endpoint(&self, endpoint: WebhookEndpoint) {
        self.shared.add_endpoint(endpoint);
    }

    /// From now on loses every event about what belongs to this customer, on the way to every
    /// endpoint.
    pub fn lose_events_of(&self, customer: &str) {
        lock(&self.shared.unlucky).insert(customer.to_owned());
    }

    /// From now on loses every event that names `id`, on the way to every endpoint.
    pub fn lose_events_about(&self, id: &str) {
        lock(&self.shared.lost).push(id.to_owned());
    }

    /// Runs until the process ends.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) api_key: String,
    clock: Clock,
    world: Mutex<World>,
    keys: Mutex<Keys>,
    endpoints: Mutex<Vec<WebhookEndpoint>>,
    /// Customers whose events are lost.
    unlucky: Mutex<HashSet<String>>,
    /// Ids whose events are lost.
    lost: Mutex<Vec<String>>,
    sender: Sender,
}

/// A panic in one request spoils nothing that the next one could not use.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Works on the world at the present time, then sends what happened.
    pub(crate) fn with_world<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = lock(&self.world);
        world.tick(self.clock.now());
        let done = work(&mut world);
        let endpoints = lock(&self.endpoints).clone();
        for id in std::mem::take(&mut world.outgoing) {
            let Some(event) = world.events.find(&id) else { continue };
            let body = event.render().to_string();
            let names_lost = lock(&self.lost).iter().any(|id| body.contains(id));
            let outgoing = Outgoing { id: id.clone(), kind: event.kind.clone(), body };
            let customer = event.object["customer"].as_str();
            let unlucky = customer.is_some_and(|customer| lock(&self.unlucky).contains(customer));
            let lose = unlucky || names_lost;
            for endpoint in &endpoints {
                self.sender.send(endpoint.clone(), outgoing.clone(), lose);
            }
        }
        done
    }

    pub(crate) fn draw_fault(&self, method: &str, path: &str) -> Option<Fault> {
        let mut world = lock(&self.world);
        let World { rng, faults, .. } = &mut *world;
        faults.draw(rng, method, path)
    }

    pub(crate) fn begin(&self, key: &str, fingerprint: Fingerprint) -> Lookup {
        lock(&self.keys).begin(key, fingerprint, self.clock.now())
    }

    pub(crate) fn finish(&self, key: &str, answer: Saved) {
        lock(&self.keys).finish(key, answer);
    }

    pub(crate) fn release(&self, key: &str) {
        lock(&self.keys).release(key);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.with_world(|_| {});
    }

    pub(crate) fn add_endpoint(&self, endpoint: WebhookEndpoint) {
        lock(&self.endpoints).push(endpoint);
    }

    pub(crate) fn state(&self) -> Value {
        let mut state = self.with_world(|world| world.state());
        let tally = &self.sender.tally;
        state["webhooks"] = json!({
            "pending": tally.pending.load(Ordering::SeqCst),
            "delivered": tally.delivered.load(Ordering::SeqCst),
            "duplicated": tally.duplicated.load(Ordering::SeqCst),
            "overtaken": tally.overtaken.load(Ordering::SeqCst),
            "lost": tally.lost.load(Ordering::SeqCst),
            "given_up": tally.given_up.load(Ordering::SeqCst),
        });
        state
    }
}

/// One client's connection, which a fault can break.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connection {
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// From now on nothing is written to it: the client sees it close.
    pub(crate) fn reset(&self) {
        self.reset.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::SeqCst)
    }
}

impl Connected<IncomingStream<'_, ResettableListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, ResettableListener>) -> Self {
        stream.io().connection.clone()
    }
}

/// A TCP listener whose connections can be broken before their answer.
#[derive(Debug)]
pub(crate) struct ResettableListener(TcpListener);

/// A connection that fails to write once it is reset.
#[derive(Debug)]
pub(crate) struct ResettableStream {
    stream: TcpStream,
    connection: Connection,
}

impl Listener for ResettableListener {
    type Io = ResettableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // A small answer waits 40 ms for nothing otherwise.
        let _ = stream.set_nodelay(true);
        (ResettableStream { stream, connection: Connection::default() }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl AsyncRead for ResettableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for ResettableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.connection.is_reset() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
