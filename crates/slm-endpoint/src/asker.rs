//! Many requests at a time, each answered once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use slm_recipe::EndpointSection;
use slm_run::{Emit, Event};

use crate::backoff::Backoff;
use crate::budget::{Budget, NoRoom, Prices};
use crate::client::Client;
use crate::failure::Failure;
use crate::{Answer, EndpointError, Journal, Request, Tokens};

/// How often somebody who waits looks whether the work was stopped.
const WAKE: Duration = Duration::from_millis(20);

/// Under what terms requests are answered.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Seed of samples and waits.
    pub seed: u64,
    /// Whether the network may not be used.
    pub offline: bool,
    /// Set from outside to stop: requests in flight are still waited for, and kept.
    pub stop: &'a AtomicBool,
}

/// What answers requests to one endpoint.
#[derive(Debug)]
pub struct Asker<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointSection,
    /// Seed, network and stop.
    pub terms: Terms<'a>,
    /// What is being answered, as progress names it.
    pub stage: &'static str,
}

/// Answers in the order of their requests.
#[derive(Debug)]
pub struct Answered {
    /// One for each request.
    pub answers: Vec<Answer>,
    /// What they cost.
    pub cost: Cost,
}

/// What was asked and spent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Answers that were asked for now.
    pub asked: usize,
    /// Answers that the journal had.
    pub from_journal: usize,
    /// Requests that were sent again.
    pub retries: usize,
    /// Tokens over the life of the journal; requests without an answer count in full.
    pub tokens: Tokens,
    /// Their price.
    pub usd: f64,
}

/// What the threads share.
struct Shared<'a> {
    asker: &'a Asker<'a>,
    client: Client,
    budget: Budget,
    journal: Mutex<&'a mut Journal>,
    /// Set when one thread met an error that ends the work.
    ended: AtomicBool,
    /// Nothing is sent before this, because the server said so.
    not_before: Mutex<Instant>,
    retries: AtomicUsize,
}

/// Why a thread ended.
enum End {
    /// The limit, the cost of the next request, and what is spent.
    Budget([String; 3]),
    Stopped,
    Error(EndpointError),
}

impl Asker<'_> {
    /// Answers requests, from the journal where it can. Of equal requests, one is sent.
    ///
    /// # Errors
    /// The first that ends the work. Answers that came before it are in the journal, and so are those that were in flight.
    pub fn ask(
        &self,
        requests: &[Request],
        journal: &mut Journal,
        emit: Emit<'_>,
    ) -> Result<Answered, EndpointError> {
        if journal.dropped_bytes() > 0 {
            let text = format!(
                "the last line of the journal was written in part ({} bytes) and is dropped: that answer is asked for again",
                journal.dropped_bytes()
            );
            emit(Event::Warning { text });
        }
        let mut seen = HashSet::new();
        let missing = requests.iter().filter(|it| journal.answer(it).is_none());
        let missing: Vec<_> = missing.filter(|it| seen.insert(it.id())).collect();
        let distinct = requests
            .iter()
            .map(Request::id)
            .collect::<HashSet<_>>()
            .len();
        let mut cost = Cost {
            asked: missing.len(),
            from_journal: distinct - missing.len(),
            ..Cost::default()
        };
        if !missing.is_empty() {
            cost.retries = self.send(&missing, distinct, journal, emit)?;
        }
        cost.tokens = journal.spent();
        cost.usd = Prices::of(self.endpoint).usd(cost.tokens);
        let answers = requests.iter().filter_map(|it| journal.answer(it));
        let answers: Vec<_> = answers.cloned().collect();
        Ok(Answered { answers, cost })
    }

    /// Sends requests; gives how many had to be sent again.
    fn send(
        &self,
        missing: &[&Request],
        total: usize,
        journal: &mut Journal,
        emit: Emit<'_>,
    ) -> Result<usize, EndpointError> {
        if self.terms.offline {
            let (url, missing) = (self.endpoint.base_url.clone(), missing.len());
            return Err(EndpointError::Offline {
                url,
                missing,
                total,
            });
        }
        let shared = Shared {
            asker: self,
            client: Client::open(self.endpoint)?,
            budget: Budget::new(self.endpoint, journal.spent()),
            journal: Mutex::new(journal),
            ended: AtomicBool::new(false),
            not_before: Mutex::new(Instant::now()),
            retries: AtomicUsize::new(0),
        };
        let next = AtomicUsize::new(0);
        let mut done = total - missing.len();
        let mut end = None;
        std::thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            for _ in 0..self.endpoint.requests_in_flight.min(missing.len()) {
                let (shared, next, tell) = (&shared, &next, tell.clone());
                scope.spawn(move || {
                    while let Some(request) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = shared.answer(request);
                        let is_end = result.is_err();
                        // The other side hears to the end.
                        let _ = tell.send(result);
                        if is_end {
                            shared.ended.store(true, Ordering::SeqCst);
                            return;
                        }
                    }
                });
            }
            drop(tell);
            for result in told {
                match result {
                    Ok(()) => {
                        done += 1;
                        emit(self.progress(done, total));
                    }
                    Err(reason) => end = Some(worse(end.take(), reason)),
                }
            }
        });
        match end {
            None => Ok(shared.retries.into_inner()),
            Some(end) => Err(end.told(done, total)),
        }
    }

    fn progress(&self, done: usize, total: usize) -> Event {
        Event::Progress {
            stage: self.stage.into(),
            done: done as u64,
            total: total as u64,
            unit: "answers".into(),
        }
    }
}

impl Shared<'_> {
    /// Sends a request until it is answered.
    fn answer(&self, request: &Request) -> Result<(), End> {
        let endpoint = self.asker.endpoint;
        let backoff = Backoff {
            first_s: endpoint.backoff_s,
            seed: self.asker.terms.seed,
        };
        for attempt in 0.. {
            self.wait_until(*lock(&self.not_before))?;
            let Err((reason, wait)) = self.attempt(request)? else {
                return Ok(());
            };
            if attempt == endpoint.max_retries {
                let (url, attempts) = (endpoint.base_url.clone(), attempt + 1);
                return Err(End::Error(EndpointError::GaveUp {
                    url,
                    attempts,
                    reason,
                }));
            }
            self.retries.fetch_add(1, Ordering::Relaxed);
            let now = Instant::now();
            if let Some(wait) = wait {
                let mut not_before = lock(&self.not_before);
                *not_before = (now + wait).max(*not_before);
            }
            self.wait_until(now + backoff.after(&request.id(), attempt))?;
        }
        Ok(())
    }

    /// Sends a request once. Gives why it may be sent again, and how long the server wants to be left alone.
    fn attempt(&self, request: &Request) -> Result<Result<(), (String, Option<Duration>)>, End> {
        let reserved = self.budget.reserve(request.worst, || self.is_stopped());
        let worst = reserved.map_err(|reason| match reason {
            NoRoom::Stopped => End::Stopped,
            NoRoom::Reached {
                budget,
                next,
                spent,
            } => End::Budget([budget, next, spent]),
        })?;
        lock(&self.journal).sent(request, worst)?;
        let failure = match self.client.send(request) {
            Ok(answer) => {
                let cost = answer.tokens;
                let written = lock(&self.journal).answered(request, worst, answer)?;
                written.sync()?;
                self.budget.settle(worst, cost);
                return Ok(Ok(()));
            }
            Err(failure) => failure,
        };
        let (Failure::Passing { charged, .. } | Failure::Lasting { charged, .. }) = &failure;
        let cost = match charged {
            true => worst,
            false => {
                lock(&self.journal).turned_away(request, worst)?;
                Tokens::default()
            }
        };
        self.budget.settle(worst, cost);
        match failure {
            Failure::Passing {
                reason,
                retry_after,
                ..
            } => Ok(Err((reason, retry_after))),
            Failure::Lasting { error, .. } => Err(End::Error(error)),
        }
    }

    fn wait_until(&self, when: Instant) -> Result<(), End> {
        loop {
            if self.is_stopped() {
                return Err(End::Stopped);
            }
            let left = when.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(WAKE));
        }
    }

    fn is_stopped(&self) -> bool {
        self.ended.load(Ordering::SeqCst) || self.asker.terms.stop.load(Ordering::SeqCst)
    }
}

impl From<EndpointError> for End {
    fn from(error: EndpointError) -> Self {
        Self::Error(error)
    }
}

impl End {
    fn told(self, answered: usize, total: usize) -> EndpointError {
        match self {
            Self::Error(error) => error,
            Self::Stopped => EndpointError::Stopped { answered, total },
            Self::Budget([budget, next, spent]) => EndpointError::BudgetReached {
                budget,
                next,
                spent,
                answered,
                total,
            },
        }
    }
}

/// Of two reasons the one that says more: threads stop because another one met an error. A later budget knows what requests
/// in flight have cost.
fn worse(first: Option<End>, second: End) -> End {
    match (first, second) {
        (None | Some(End::Stopped), second) => second,
        (Some(End::Budget(_)), second @ (End::Budget(_) | End::Error(_))) => second,
        (Some(first), _) => first,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
