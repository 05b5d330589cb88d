//! How long to wait before a request is sent again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use slm_run::sha256_json;

/// Longest wait of its own; a server's `Retry-After` may be longer.
const LONGEST_S: f64 = 60.0;

/// Exponential, with a jitter that is drawn from the seed and the request, so that a run can be repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first_s: f64,
    pub(crate) seed: u64,
}

impl Backoff {
    /// The wait after the attempt of this number, from 0: between half and all of `first · 2^attempt`.
    pub(crate) fn after(self, id: &(String, usize), attempt: u32) -> Duration {
        let longest = (self.first_s * 2_f64.powi(attempt.min(30) as i32)).min(LONGEST_S);
        let digest = sha256_json(&(self.seed, "backoff", id, attempt));
        let drawn = u32::from_str_radix(&digest[..8], 16).unwrap_or(0);
        let share = 0.5 + 0.5 * f64::from(drawn) / f64::from(u32::MAX);
        Duration::from_secs_f64(longest * share)
    }
}

/// The wait that a `Retry-After` header asks for: seconds, or a date as in RFC 9110, 5.6.7.
pub(crate) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_can_be_repeated() {
        let backoff = Backoff {
            first_s: 1.0,
            seed: 3,
        };
        let id = ("a".to_owned(), 0);
        for attempt in 0..12 {
            let wait = backoff.after(&id, attempt).as_secs_f64();
            let most = 2_f64.powi(attempt as i32).min(60.0);
            assert!((most / 2.0..=most).contains(&wait), "{attempt}: {wait}");
            assert_eq!(wait, backoff.after(&id, attempt).as_secs_f64());
        }
        let other = Backoff { seed: 4, ..backoff };
        assert_ne!(backoff.after(&id, 0), other.after(&id, 0));
        assert_ne!(backoff.after(&id, 0), backoff.after(&("a".into(), 1), 0));
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = DateTime::parse_from_rfc3339("2015-10-21T07:27:58Z")
            .unwrap()
            .to_utc();
        let read = |text| retry_after(text, now);
        assert_eq!(read("2"), Some(Duration::from_secs(2)));
        assert_eq!(read("0.5"), Some(Duration::from_millis(500)));
        // The example of RFC 9110, 10.2.3, moved to seconds from `now`.
        assert_eq!(
            read("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::from_secs(2))
        );
        assert_eq!(read("Wed, 21 Oct 2015 07:27:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("-1"), None);
        assert_eq!(read("soon"), None);
    }
}
