//! Options that outlive a call. A call finds its session by cookie, else by the bearer of a handshake, else by its
//! connection; a session is its principal's alone.

use std::collections::HashMap;
use std::sync::Arc;

use meshgate_gateway::SessionOptions;
use meshgate_model::{Entropy, Fingerprint};
use parking_lot::Mutex;

use crate::Settings;
use crate::shelf::{Id, Shelf, fresh_id};

pub(crate) mod bearer;
pub(crate) mod cookie;
pub(crate) mod messages;

/// The ways in which a call may name its session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keys {
    /// Whose session.
    pub(crate) owner: Fingerprint,
    /// From a cookie of ours.
    pub(crate) cookie: Option<Id>,
    /// From a bearer of ours.
    pub(crate) bearer: Option<Id>,
    /// The connection.
    pub(crate) connection: Option<u64>,
}

/// All sessions that differ from the default.
#[derive(Debug)]
pub(crate) struct Sessions {
    sessions: Shelf<SessionOptions>,
    by_connection: Mutex<HashMap<(u64, Fingerprint), Id>>,
    entropy: Arc<dyn Entropy>,
}

impl Sessions {
    /// With the limits of the settings.
    pub(crate) fn new(settings: &Settings) -> Self {
        let sessions = Shelf::new(settings.sessions_max, settings.session_ttl_s, settings.clock.clone());
        Self { sessions, by_connection: Mutex::default(), entropy: settings.entropy.clone() }
    }

    /// The options of a call.
    pub(crate) fn options(&self, keys: &Keys) -> SessionOptions {
        self.id(keys).and_then(|id| self.sessions.get(keys.owner, &id)).unwrap_or_default()
    }

    /// Keeps changed options. Returns the session's id if the call had no good cookie: it should get one.
    pub(crate) fn keep(&self, keys: &Keys, options: SessionOptions) -> Option<Id> {
        let known = self.id(keys).filter(|id| {
            // A cookie of a session that is gone is not brought back to life: its id may be somebody else's.
            keys.cookie != Some(*id) || keys.bearer == Some(*id) || self.sessions.get(keys.owner, id).is_some()
        });
        let id = known.unwrap_or_else(|| {
            let id = fresh_id(self.entropy.as_ref());
            if let (None, Some(connection)) = (keys.cookie, keys.connection) {
                self.by_connection.lock().insert((connection, keys.owner), id);
            }
            id
        });
        self.sessions.put(keys.owner, id, options);
        (keys.cookie != Some(id)).then_some(id)
    }

    /// Forgets a call's session.
    pub(crate) fn close(&self, keys: &Keys) {
        if let Some(id) = self.id(keys) {
            self.sessions.take(keys.owner, &id);
        }
    }

    /// Forgets the sessions that only a connection led to.
    pub(crate) fn connection_closed(&self, connection: u64) {
        // The sessions themselves stay while unused: a cookie may have been handed out for them.
        self.by_connection.lock().retain(|(of, _), _| *of != connection);
    }

    fn id(&self, keys: &Keys) -> Option<Id> {
        let by_connection = || self.by_connection.lock().get(&(keys.connection?, keys.owner)).copied();
        keys.cookie.or(keys.bearer).or_else(by_connection)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshgate_gateway::SessionOptions;
    use meshgate_model::Fingerprint;

    use super::{Keys, Sessions};
    use crate::Settings;
    use crate::seal::tests::Counting;
    use crate::shelf::tests::Hand;

    const ANA: Fingerprint = Fingerprint([1; 32]);
    const BEN: Fingerprint = Fingerprint([2; 32]);

    fn sessions() -> Sessions {
        Sessions::new(&Settings::new([0; 32], Arc::new(Hand::default()), Arc::new(Counting::default())))
    }

    fn catalog(name: &str) -> SessionOptions {
        SessionOptions { catalog: Some(name.to_owned()), ..Default::default() }
    }

    fn keys(owner: Fingerprint, connection: u64) -> Keys {
        Keys { owner, cookie: None, bearer: None, connection: Some(connection) }
    }

    #[test]
    fn found_by_cookie_else_bearer_else_connection() {
        let sessions = sessions();
        let on_1 = keys(ANA, 1);
        let cookie = sessions.keep(&on_1, catalog("a"));
        assert!(cookie.is_some(), "a new session gets a cookie");
        assert_eq!(sessions.options(&on_1), catalog("a"));
        assert_eq!(sessions.options(&Keys { cookie, ..keys(ANA, 2) }), catalog("a"));
        let bearer = Keys { bearer: Some([9; 16]), ..on_1 };
        assert_eq!(sessions.options(&bearer), SessionOptions::default(), "not the connection's");
        assert_eq!(sessions.keep(&bearer, catalog("b")), Some([9; 16]));
        assert_eq!(sessions.options(&Keys { connection: None, ..bearer }), catalog("b"));
        assert_eq!(sessions.options(&on_1), catalog("a"));
        assert_eq!(sessions.options(&Keys { cookie, ..bearer }), catalog("a"), "the cookie comes first");
        assert_eq!(sessions.keep(&Keys { cookie, ..on_1 }, catalog("c")), None, "it has its cookie");
        assert_eq!(sessions.options(&on_1), catalog("c"));
    }

    #[test]
    fn nothing_leaks_between_two() {
        let sessions = sessions();
        let cookie = sessions.keep(&keys(ANA, 1), catalog("a"));
        let stolen = Keys { cookie, ..keys(BEN, 1) };
        for other in [keys(BEN, 1), keys(ANA, 2), stolen] {
            assert_eq!(sessions.options(&other), SessionOptions::default());
        }
        let given = sessions.keep(&stolen, catalog("b"));
        assert!(given.is_some() && given != cookie, "another session");
        assert_eq!(sessions.options(&keys(ANA, 1)), catalog("a"));
        sessions.connection_closed(1);
        assert_eq!(sessions.options(&keys(ANA, 1)), SessionOptions::default());
        assert_eq!(sessions.options(&Keys { cookie, ..keys(ANA, 3) }), catalog("a"), "the cookie still leads there");
        sessions.close(&Keys { cookie, ..keys(ANA, 3) });
        assert_eq!(sessions.options(&Keys { cookie, ..keys(ANA, 3) }), SessionOptions::default());
    }
}
