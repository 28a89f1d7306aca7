//! The one HTTP/1.1 client of this project: the schema registry and token endpoints are asked by it.
//!
//! It connects through the same [`Resolver`](crate::transport::Resolver) and [`Connector`](crate::transport::Connector)
//! as to brokers, with TLS by the same settings (feature `tls`), or through a proxy. Each exchange has a deadline, each
//! body a bound. Redirects are not followed: credentials must not go elsewhere. A few connections are kept for the next
//! request, with no task beside them: one that the server closed meanwhile is noticed when it would be used.
//!
//! ```
//! use ottla_network::http::{Authorization, HttpClient, HttpMethod, HttpRequest};
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = HttpClient::builder().build();
//! let mut request = HttpRequest::new(HttpMethod::Get, "http://127.0.0.1:8081/subjects".parse()?);
//! request.authorization = Some(Authorization::basic("me", "secret"));
//! request.timeout = Duration::from_secs(5);
//! let response = client.exchange(request).await?;
//! println!("{}: {} bytes", response.status, response.body.len());
//! # Ok(())
//! # }
//! ```

mod client;
mod connection;
mod error;
mod io;
mod pool;
mod proxy;
mod request;
mod url;

pub use client::{HttpClient, HttpClientBuilder};
pub use error::{HttpError, HttpStage};
pub use proxy::Proxy;
pub use request::{Authorization, HttpMethod, HttpRequest, HttpResponse};
pub use url::{HttpUrl, InvalidUrl};
