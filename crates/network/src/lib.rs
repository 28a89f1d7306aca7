//! Connections to Kafka brokers: sessions and connection states without I/O, and a tokio transport.

mod action;
mod addresses;
mod api_versions;
mod config;
mod endpoint;
mod error;
mod event;
mod frame;
mod network;
mod node;
mod request;
mod segments;
mod session;
mod timer;
#[cfg(feature = "tokio")]
pub mod transport;
mod versions;

pub use action::{ConnectionId, IoAction, IoFailure};
pub use config::{InvalidConfig, NetworkConfig};
pub use endpoint::Endpoint;
pub use error::{LooksLike, NetworkError, NetworkErrorKind, SendError, SetupStage};
pub use event::NetworkEvent;
pub use network::Network;
pub use node::NodeState;
pub use request::OutgoingRequest;
pub use segments::Segments;
pub use versions::{ApiRange, BrokerVersions, FinalizedFeature};
