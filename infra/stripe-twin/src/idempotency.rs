//! Idempotency keys. <https://docs.stripe.com/api/idempotent_requests>,
//! <https://docs.stripe.com/error-low-level#idempotency>

use std::collections::HashMap;

use crate::api::ApiError;

/// Keys are forgotten this long after their first use.
const KEPT_S: i64 = 24 * 3600;
const LENGTH_MAX: usize = 255;

/// Method, path and parameters: what has to be the same for a key to be the same.
pub(crate) type Fingerprint = (String, String, Vec<(String, String)>);

/// A finished answer: status and body.
pub(crate) type Saved = (u16, String);

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    since: i64,
    /// `None` while the first request runs.
    answer: Option<Saved>,
}

/// What a key means for a request.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// Not seen: go on, the key is now in use.
    Fresh,
    /// Answered before: the same answer again.
    Replay(Saved),
    /// Refused.
    Refused(Box<ApiError>),
}

/// All keys of the account.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: HashMap<String, Entry>,
}

impl Keys {
    /// Looks `key` up and, when it is new, marks it as in use.
    pub(crate) fn begin(&mut self, key: &str, fingerprint: Fingerprint, now: i64) -> Lookup {
        if key.is_empty() || key.len() > LENGTH_MAX {
            let message = "Idempotency keys are 1 to 255 characters long.";
            let error = ApiError::other(400, "idempotency_error", None, message);
            return Lookup::Refused(error);
        }
        let running = |entry: &Entry| entry.answer.is_none();
        self.entries.retain(|_, entry| running(entry) || entry.since + KEPT_S > now);
        let Some(entry) = self.entries.get(key) else {
            let entry = Entry { fingerprint, since: now, answer: None };
            self.entries.insert(key.to_owned(), entry);
            return Lookup::Fresh;
        };
        if entry.fingerprint != fingerprint {
            let message = format!(
                "Keys for idempotent requests can only be used with the same parameters they were \
                 first used with. Try using a key other than '{key}' if you meant to execute a \
                 different request.",
            );
            return Lookup::Refused(ApiError::other(400, "idempotency_error", None, &message));
        }
        if let Some(saved) = &entry.answer {
            return Lookup::Replay(saved.clone());
        }
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key ({key})."
        );
        let code = Some("idempotency_key_in_use");
        Lookup::Refused(ApiError::other(409, "idempotency_error", code, &message))
    }

    /// Keeps the answer of a key in use.
    pub(crate) fn finish(&mut self, key: &str, answer: Saved) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer);
        }
    }

    /// Forgets a key in use: nothing was executed.
    pub(crate) fn release(&mut self, key: &str) {
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(amount: &str) -> Fingerprint {
        let params = vec![("amount".to_owned(), amount.to_owned())];
        ("POST".to_owned(), "/v1/payment_intents".to_owned(), params)
    }

    fn refused(lookup: Lookup) -> u16 {
        let Lookup::Refused(error) = lookup else { panic!("{lookup:?}") };
        error.status
    }

    #[test]
    fn a_key_is_locked_then_replayed_then_forgotten() {
        let mut keys = Keys::default();
        assert!(matches!(keys.begin("k", request("1"), 0), Lookup::Fresh));
        assert_eq!(refused(keys.begin("k", request("1"), 1)), 409);
        keys.finish("k", (500, "broken".to_owned()));
        let day = KEPT_S;
        let Lookup::Replay(saved) = keys.begin("k", request("1"), day - 1) else { panic!() };
        assert_eq!(saved, (500, "broken".to_owned()));
        assert!(matches!(keys.begin("k", request("1"), day), Lookup::Fresh));
    }

    #[test]
    fn a_key_with_other_parameters_is_refused_and_a_released_one_is_new() {
        let mut keys = Keys::default();
        assert!(matches!(keys.begin("k", request("1"), 0), Lookup::Fresh));
        keys.finish("k", (200, String::new()));
        assert_eq!(refused(keys.begin("k", request("2"), 1)), 400);
        assert!(matches!(keys.begin("other", request("1"), 1), Lookup::Fresh));
        keys.release("other");
        assert!(matches!(keys.begin("other", request("2"), 1), Lookup::Fresh));
        assert_eq!(refused(keys.begin(&"k".repeat(256), request("1"), 1)), 400);
    }
}
