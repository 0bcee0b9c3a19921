//! Who calls, in which session, with which options.

use std::sync::OnceLock;

use arrow_flight::{HandshakeRequest, HandshakeResponse};
use futures::StreamExt;
use futures::stream::BoxStream;
use meshgate_gateway::{Caller, Compression, SessionOptions};
use meshgate_identity::{ClientInfo, Credential};
use meshgate_model::{Instant, Secret};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status, Streaming};

use super::Inner;
use crate::Error;
use crate::connection::Peer;
use crate::session::{Keys, bearer, cookie};
use crate::shelf::{Id, fresh_id};
use crate::status::status;

const AUTHORIZATION: &str = "authorization";
/// Headers that set an option for one call.
const OPTIONS: [(&str, &str); 3] =
    [("meshgate-wire-types", "wire_types"), (COMPRESSION, "ipc_compression"), ("meshgate-endpoints", "endpoints")];
const COMPRESSION: &str = "meshgate-ipc-compression";

/// Headers that stand for an option that the session does not set: many tools can be given a header, and run no statement
/// before their own.
const CATALOG: &str = "meshgate-catalog";
const SCHEMA: &str = "meshgate-schema";
const PURPOSE: &str = "meshgate-purpose";
const TIMEZONE: &str = "meshgate-timezone";

/// A call whose caller is known.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) keys: Keys,
    pub(super) options: SessionOptions,
    /// What this very call asks for, whatever its session or ticket says.
    pub(super) compression: Option<Compression>,
    set_cookie: OnceLock<String>,
    /// A bearer that lives on when the one that was sent has ended.
    new_bearer: Option<String>,
}

impl Call {
    /// The answer, with a cookie if the call began or ended a session.
    pub(super) fn respond<T>(&self, result: Result<T, Error>) -> Result<Response<T>, Status> {
        let mut response = Response::new(result.map_err(|error| status(&error))?);
        if let Some(cookie) = self.set_cookie.get().and_then(|cookie| MetadataValue::try_from(cookie).ok()) {
            response.metadata_mut().append("set-cookie", cookie);
        }
        if let Some(mut bearer) = self.new_bearer.as_ref().and_then(|bearer| MetadataValue::try_from(bearer).ok()) {
            bearer.set_sensitive(true);
            response.metadata_mut().insert(AUTHORIZATION, bearer);
        }
        Ok(response)
    }

    /// Gives the client a session's cookie, if it needs one.
    pub(super) fn new_cookie(&self, session: Option<Id>) {
        if let Some(id) = session {
            self.set_cookie.set(cookie::set(id)).ok();
        }
    }

    /// Takes the client's cookie away, if it has one.
    pub(super) fn no_cookie(&self) {
        if self.keys.cookie.is_some() {
            self.set_cookie.set(cookie::unset()).ok();
        }
    }
}

impl Inner {
    /// Authenticates a call and finds its session.
    pub(super) async fn identify<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        self.try_identify(request).await.map_err(|error| status(&error))
    }

    async fn try_identify<T>(&self, request: &Request<T>) -> Result<Call, Error> {
        let metadata = request.metadata();
        let peer = Peer::of(request.extensions());
        let (credential, bearer) = self.unwrap_bearer(credential(metadata, peer)?);
        let new_bearer = bearer.as_ref().and_then(|bearer| self.rotated(bearer, &credential));
        let caller = self.gateway.authenticate(credential, client(metadata, peer)).await?;
        let keys = Keys {
            owner: caller.fingerprint(),
            cookie: cookie::read(metadata),
            bearer: bearer.map(|(session, _)| session),
            connection: peer.map(|peer| peer.connection),
        };
        let mut options = self.sessions.options(&keys);
        for (header, option) in OPTIONS {
            if let Some(value) = text(metadata, header) {
                options.set(option, Some(&value.to_ascii_lowercase()))?;
            }
        }
        fill(&mut options, metadata)?;
        let compression = metadata.contains_key(COMPRESSION).then_some(options.ipc_compression);
        Ok(Call { caller, keys, options, compression, set_cookie: OnceLock::new(), new_bearer })
    }

    /// Checks the credential and answers with what to send from now on: a bearer with a session of its own for a user and
    /// password, the given header for a bearer.
    pub(super) async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<BoxStream<'static, Result<HandshakeResponse, Status>>>, Error> {
        let metadata = request.metadata();
        let peer = Peer::of(request.extensions());
        let given = credential(metadata, peer)?;
        let (inner, _) = self.unwrap_bearer(given.clone());
        self.gateway.authenticate(inner, client(metadata, peer)).await?;
        let answer = match given {
            Credential::Basic { user, password } => {
                let session = fresh_id(self.settings.entropy.as_ref());
                Some(self.bearer(session, &user, &password))
            }
            Credential::Bearer(token) => Some(format!("Bearer {}", token.expose())),
            // What the client sent as its token, if anything, goes on to mean nothing.
            Credential::Anonymous | Credential::Certificate(_) => text(metadata, AUTHORIZATION).map(str::to_owned),
        };
        let one = futures::stream::iter([Ok(HandshakeResponse::default())]);
        let mut response = Response::new(one.boxed());
        if let Some(mut value) = answer.and_then(|answer| MetadataValue::try_from(answer).ok()) {
            value.set_sensitive(true);
            response.metadata_mut().insert(AUTHORIZATION, value);
        }
        Ok(response)
    }

    /// The header with a fresh bearer of a session.
    fn bearer(&self, session: Id, user: &str, password: &Secret) -> String {
        let until = self.settings.clock.now().plus_seconds(i64::from(self.settings.bearer_ttl_s));
        format!("Bearer {}", bearer::seal(&self.sealer, session, user, password, until))
    }

    /// Another bearer of the same session, once the half of its life is over: clients that take the `authorization` of
    /// answers stay connected for as long as they go on.
    fn rotated(&self, (session, until): &(Id, Instant), credential: &Credential) -> Option<String> {
        let half_s = i64::from(self.settings.bearer_ttl_s / 2);
        if self.settings.clock.now().plus_seconds(half_s) < *until {
            return None;
        }
        match credential {
            Credential::Basic { user, password } => Some(self.bearer(*session, user, password)),
            Credential::Bearer(_) | Credential::Certificate(_) | Credential::Anonymous => None,
        }
    }

    /// What a bearer of ours stands for, its session, and until when it is good. One that is forged or has expired stays
    /// what it is: an unknown token.
    fn unwrap_bearer(&self, credential: Credential) -> (Credential, Option<(Id, Instant)>) {
        let opened = match &credential {
            Credential::Bearer(token) => bearer::open(&self.sealer, token, self.settings.clock.now()),
            Credential::Basic { .. } | Credential::Certificate(_) | Credential::Anonymous => None,
        };
        match opened {
            Some((session, until, credential)) => (credential, Some((session, until))),
            None => (credential, None),
        }
    }
}

/// What the header says; if it says nothing, the certificate that the connection came with.
fn credential(metadata: &MetadataMap, peer: Option<&Peer>) -> Result<Credential, Error> {
    let certificate = || peer?.certificate.clone().map(Credential::Certificate);
    Ok(match from_header(metadata)? {
        Credential::Anonymous => certificate().unwrap_or(Credential::Anonymous),
        given => given,
    })
}

fn from_header(metadata: &MetadataMap) -> Result<Credential, Error> {
    let mut headers = metadata.get_all(AUTHORIZATION).iter();
    let Some(header) = headers.next() else { return Ok(Credential::Anonymous) };
    // SECURITY: a proxy may have checked one of them and passed on both.
    if headers.next().is_some() {
        return Err(Error::TwoCredentials);
    }
    let header = header.to_str().map_err(|_| Error::Malformed("the `authorization` header is not ASCII"))?;
    Ok(Credential::from_header(header)?)
}

/// Sets what the session leaves open as the headers say it.
fn fill(options: &mut SessionOptions, metadata: &MetadataMap) -> Result<(), Error> {
    let open = [
        (CATALOG, "catalog", options.catalog.is_none()),
        (SCHEMA, "schema", options.schema.is_none()),
        (PURPOSE, "purpose", options.purpose.is_none()),
        (TIMEZONE, "timezone", options.timezone.is_none()),
    ];
    for (header, option, _) in open.into_iter().filter(|(_, _, open)| *open) {
        if let Some(value) = text(metadata, header) {
            options.set(option, Some(value))?;
        }
    }
    Ok(())
}

fn client(metadata: &MetadataMap, peer: Option<&Peer>) -> ClientInfo {
    ClientInfo {
        address: peer.and_then(|peer| peer.address),
        user_agent: text(metadata, "user-agent").map(|agent| agent.chars().take(256).collect()),
    }
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use meshgate_gateway::SessionOptions;
    use meshgate_identity::Credential;
    use tonic::metadata::MetadataMap;

    use super::{fill, from_header};
    use crate::Error;

    #[test]
    fn one_authorization_header_or_none() {
        let mut metadata = MetadataMap::new();
        assert!(matches!(from_header(&metadata), Ok(Credential::Anonymous)));
        metadata.append("authorization", "Basic YTpi".parse().expect("ASCII"));
        metadata.append_bin("auth-token-bin", tonic::metadata::MetadataValue::from_bytes(b""));
        assert!(matches!(from_header(&metadata), Ok(Credential::Basic { .. })));
        metadata.append("authorization", "Bearer x".parse().expect("ASCII"));
        assert!(matches!(from_header(&metadata), Err(Error::TwoCredentials)));
    }

    #[test]
    fn headers_set_what_the_session_leaves_open() {
        let mut metadata = MetadataMap::new();
        for (header, value) in [("catalog", "sales"), ("schema", "orders"), ("purpose", "fraud"), ("timezone", "UTC")] {
            let header = format!("meshgate-{header}").parse::<tonic::metadata::AsciiMetadataKey>().expect("a name");
            metadata.insert(header, value.parse().expect("ASCII"));
        }
        let mut options = SessionOptions { catalog: Some("crm".to_owned()), ..SessionOptions::default() };
        fill(&mut options, &metadata).expect("good values");
        let told = [options.catalog, options.schema, options.purpose, options.timezone];
        assert_eq!(told.map(|value| value.expect("set")), ["crm", "orders", "fraud", "UTC"]);
        metadata.insert("meshgate-timezone", "Nowhere/Land".parse().expect("ASCII"));
        assert!(fill(&mut SessionOptions::default(), &metadata).is_err());
    }
}
