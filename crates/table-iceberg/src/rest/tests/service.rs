//! A service that answers as a test says: a catalog, a server of tokens, a store, or all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use meshgate_model::{Clock, Instant};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Still percent-encoded.
    pub(super) path: String,
    pub(super) query: String,
    headers: axum::http::HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// What is answered.
pub(super) struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

pub(super) fn said(status: u16, body: impl ToString) -> Said {
    Said { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

/// An error in the standard's form.
pub(super) fn error(status: u16, message: &str) -> Said {
    said(status, serde_json::json!({"error": {"message": message, "type": "TestException", "code": status}}))
}

impl Said {
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

type Answer = Box<dyn FnMut(&Seen) -> Said + Send>;

pub(super) struct Service {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Service {
    pub(super) async fn start(answer: impl FnMut(&Seen) -> Said + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
        let kept = seen.clone();
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (answer, kept) = (answer.clone(), kept.clone());
            async move {
                let (head, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let request = Seen {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                kept.lock().push(request.clone());
                let said = answer.lock()(&request);
                let mut response = Response::builder().status(said.status);
                for (name, value) in said.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(said.body)).unwrap()
            }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, _tasks: tasks }
    }

    /// What was asked, of paths that contain a text.
    pub(super) fn asked(&self, path: &str) -> Vec<Seen> {
        self.seen.lock().iter().filter(|seen| seen.path.contains(path)).cloned().collect()
    }
}

/// A clock that a test moves.
#[derive(Debug)]
pub(super) struct Hand(AtomicI64);

impl Hand {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(chrono::Utc::now().timestamp_micros())))
    }

    pub(super) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// Milliseconds, so many seconds from now.
    pub(super) fn millis_in(&self, seconds: i64) -> i64 {
        self.now().plus_seconds(seconds).millis()
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }
}

/// A cell that a test changes while the service answers from it.
pub(super) type Cell<T> = Arc<Mutex<T>>;

pub(super) fn cell<T>(value: T) -> Cell<T> {
    Arc::new(Mutex::new(value))
}

/// The configuration of a catalog that has none.
pub(super) fn plain_config() -> Value {
    serde_json::json!({"defaults": {}, "overrides": {}})
}
