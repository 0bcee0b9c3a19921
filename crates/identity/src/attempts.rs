//! Checking passwords: guarded, remembered for a moment, and never more at once than memory allows.

use std::sync::{Arc, OnceLock};

use meshgate_model::{Clock, Entropy, Secret};
use tokio::sync::Semaphore;

use crate::error::Reason;
use crate::guard::Guard;
use crate::password::{self, PASSWORD_LEN_MAX};
use crate::verified::Verified;
use crate::{ClientInfo, Error, GuardLimits, PasswordCost, PasswordHash, UserRecord};

/// How many passwords are hashed at the same time, 19 MiB each.
const HASHING_MAX: usize = 4;
/// How many more may wait for their turn.
const WAITING_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Attempts {
    clock: Arc<dyn Clock>,
    guard: Guard,
    verified: Verified,
    waiting: Semaphore,
    hashing: Semaphore,
    dummy: Arc<Dummy>,
}

/// What a password is compared with when there is no such user, so that the answer takes as long.
#[derive(Debug)]
struct Dummy {
    salt: [u8; 16],
    cost: PasswordCost,
    hash: OnceLock<Option<PasswordHash>>,
}

impl Attempts {
    pub(crate) fn new(limits: GuardLimits, cost: PasswordCost, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self {
            clock,
            guard: Guard::new(limits),
            verified: Verified::new(key),
            waiting: Semaphore::new(HASHING_MAX + WAITING_MAX),
            hashing: Semaphore::new(HASHING_MAX),
            dummy: Arc::new(Dummy { salt: password::salt(entropy), cost, hash: OnceLock::new() }),
        }
    }

    /// Whether this is the password of this user, who may not exist.
    pub(crate) async fn check(
        &self,
        name: &str,
        password: &Secret,
        user: Option<&UserRecord>,
        client: &ClientInfo,
    ) -> Result<(), Error> {
        self.admit(name, client)?;
        if self.is_verified(password, user) {
            return Ok(());
        }
        let _place = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        let _turn = self.hashing.acquire().await.map_err(|_| Error::Busy)?;
        // While waiting, others may have failed or proved the same password. SECURITY: looking again bounds what
        // parallel guesses gain to the number that is hashed at once.
        self.admit(name, client)?;
        if self.is_verified(password, user) {
            return Ok(());
        }
        if self.hash_and_compare(password, user).await? {
            self.guard.succeeded(name, client);
            if let Some(user) = user {
                self.verified.remember(&user.name, password, user.password.version(), self.clock.now());
            }
            return Ok(());
        }
        self.guard.failed(name, client, self.clock.now());
        let name: String = name.chars().take(256).collect();
        Err(Error::Refused(match user {
            Some(_) => Reason::WrongPassword(name),
            None => Reason::UnknownUser(name),
        }))
    }

    fn admit(&self, name: &str, client: &ClientInfo) -> Result<(), Error> {
        self.guard.admit(name, client, self.clock.now()).map_err(|retry_after_s| {
            let user = name.chars().take(256).collect();
            Error::TooManyAttempts { user, retry_after_s }
        })
    }

    fn is_verified(&self, password: &Secret, user: Option<&UserRecord>) -> bool {
        let now = self.clock.now();
        user.is_some_and(|user| self.verified.holds(&user.name, password, user.password.version(), now))
    }

    async fn hash_and_compare(&self, password: &Secret, user: Option<&UserRecord>) -> Result<bool, Error> {
        if password.expose().len() > PASSWORD_LEN_MAX {
            return Ok(false);
        }
        let (password, stored, dummy) = (password.clone(), user.map(|user| user.password.clone()), self.dummy.clone());
        let compare = move || {
            // Made on the first login of all, whoever logs in: later it costs nobody anything.
            let dummy = dummy.hash();
            match (&stored, dummy) {
                (Some(stored), _) => stored.matches(&password),
                // SECURITY: the same work for a user who does not exist, and never a success.
                (None, dummy) => {
                    let _same_work = dummy.map(|dummy| dummy.matches(&password));
                    false
                }
            }
        };
        tokio::task::spawn_blocking(compare).await.map_err(|error| Error::Hashing(error.to_string()))
    }
}

impl Dummy {
    fn hash(&self) -> Option<&PasswordHash> {
        let make = || PasswordHash::make(&Secret::new("nobody"), self.salt, self.cost).ok();
        self.hash.get_or_init(make).as_ref()
    }
}
