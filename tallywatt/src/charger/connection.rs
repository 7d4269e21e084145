//! One WebSocket connection of a charger to a central system (OCPP-J 1.6, chapter 3).

use std::{fmt, str::FromStr as _, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        ClientRequestBuilder, Error, Message,
        error::{ProtocolError, SubProtocolError, UrlError},
        http::Uri,
    },
};

/// Longest time to open a connection.
const CONNECT_MAX: Duration = Duration::from_secs(30);

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// The central system refused the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// With this HTTP status: 401 and 403 for a wrong password or an unknown charger.
    Status(u16),
    /// It accepted, and did not negotiate the subprotocol.
    NoSubprotocol,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the connection was refused with HTTP {status}"),
            Self::NoSubprotocol => {
                write!(f, "the central system did not negotiate {}", ocpp::SUBPROTOCOL)
            }
        }
    }
}

impl std::error::Error for Refused {}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A text.
    Text(String),
    /// Nothing in the time given.
    Nothing,
    /// The end of the connection.
    Closed,
}

impl Connection {
    /// Connects to `<url>/<id>` with Basic authentication and the subprotocol.
    ///
    /// # Errors
    ///
    /// [`Refused`] when the central system says no; any other error when it cannot be reached.
    pub async fn open(url: &str, id: &str, password: &str) -> anyhow::Result<Self> {
        let endpoint = format!("{}/{id}", url.trim_end_matches('/'));
        let uri = Uri::from_str(&endpoint).map_err(|error| Error::HttpFormat(error.into()));
        let uri = uri.with_context(|| format!("{endpoint} is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("ws" | "wss")) {
            let error = Error::Url(UrlError::UnsupportedUrlScheme);
            return Err(anyhow::Error::new(error).context(format!("{endpoint} is not ws or wss")));
        }
        let credentials = BASE64_STANDARD.encode(format!("{id}:{password}"));
        let request = ClientRequestBuilder::new(uri)
            .with_header("Authorization", format!("Basic {credentials}"))
            .with_sub_protocol(ocpp::SUBPROTOCOL);
        let opened = timeout(CONNECT_MAX, connect_async(request))
            .await
            .with_context(|| format!("{endpoint} did not answer"))?;
        match opened {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => Err(Refused::Status(response.status().as_u16()).into()),
            Err(Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
                SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
            ))) => Err(Refused::NoSubprotocol.into()),
            Err(error) => {
                Err(anyhow::Error::new(error).context(format!("cannot connect to {endpoint}")))
            }
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    ///
    /// When the connection has ended.
    pub async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        self.socket.send(Message::text(text)).await.context("the connection has ended")
    }

    /// Waits up to `patience` for a text. Pings are answered meanwhile.
    pub async fn receive(&mut self, patience: Duration) -> Received {
        let text = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Received::Text(text.to_string()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Received::Closed,
                    Some(Ok(_)) => {}
                }
            }
        };
        timeout(patience, text).await.unwrap_or(Received::Nothing)
    }

    /// Says goodbye. A connection that has ended already is no error.
    pub async fn close(mut self) {
        // Nothing is left to be lost.
        let _ = self.socket.close(None).await;
    }
}
