//! The schema registry's HTTP, by the client that all share.

use ottla_network::http::{Authorization, HttpClient, HttpError as Failure, HttpMethod, HttpRequest};
use ottla_serialization::registry::{BoxFuture, Http, HttpError, Method, Request, Response};
use std::time::Duration;
use zeroize::Zeroizing;

/// Exchanges the requests of a [`Registry`](crate::serialization::registry::Registry) by an [`HttpClient`].
///
/// Its futures run on the producer's runtime.
#[derive(Clone, Debug)]
pub struct RegistryHttp {
    client: HttpClient,
    connect_timeout: Duration,
}

impl Default for RegistryHttp {
    fn default() -> RegistryHttp {
        RegistryHttp::with_client(HttpClient::builder().build())
    }
}

impl RegistryHttp {
    /// Plain HTTP only.
    pub fn new() -> RegistryHttp {
        RegistryHttp::default()
    }

    /// By this client: with its TLS, its proxy, its connector and its resolver.
    pub fn with_client(client: HttpClient) -> RegistryHttp {
        RegistryHttp {
            client,
            connect_timeout: Duration::from_secs(60),
        }
    }

    /// How long connecting may take, within the time of a request (`http.connect.timeout.ms`).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> RegistryHttp {
        self.connect_timeout = timeout;
        self
    }
}

impl Http for RegistryHttp {
    fn exchange(&self, request: Request) -> BoxFuture<Result<Response, HttpError>> {
        let this = self.clone();
        Box::pin(async move {
            let request = this.translated(request)?;
            let response = this.client.exchange(request).await.map_err(failed)?;
            Ok(Response::new(response.status, response.body.to_vec()))
        })
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

impl RegistryHttp {
    fn translated(&self, request: Request) -> Result<HttpRequest, HttpError> {
        let method = match request.method {
            Method::Get => HttpMethod::Get,
            Method::Post => HttpMethod::Post,
            Method::Put => HttpMethod::Put,
            Method::Delete => HttpMethod::Delete,
            _ => return Err(HttpError::Refused("a method that is not known here".to_owned())),
        };
        let url = request.url.parse();
        let url =
            url.map_err(|error: ottla_network::http::InvalidUrl| HttpError::Refused(error.to_string()))?;
        let mut translated = HttpRequest::new(method, url);
        translated.authorization = request.authorization.map(Authorization::raw);
        translated
            .headers
            .push(("accept", format!("{}, application/json", request.media_type)));
        if let Some(body) = request.body {
            translated
                .headers
                .push(("content-type", request.media_type.to_owned()));
            translated.body = Some(Zeroizing::new(body));
        }
        translated.connect_timeout = self.connect_timeout;
        translated.timeout = request.timeout;
        translated.response_bytes_max = request.response_bytes_max;
        Ok(translated)
    }
}

fn failed(failure: Failure) -> HttpError {
    match failure {
        Failure::Timeout { .. } => HttpError::Timeout,
        Failure::Connection { reason } => HttpError::Connection(reason),
        Failure::Protocol { reason } => HttpError::Protocol(reason),
        Failure::TooLarge { .. } => HttpError::Protocol(failure.to_string()),
        _ if failure.is_transient() => HttpError::Connection(failure.to_string()),
        _ => HttpError::Refused(failure.to_string()),
    }
}
