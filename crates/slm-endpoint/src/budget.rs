//! A limit on tokens and money that holds whatever is in flight: the most that a request may cost is set aside before it is sent.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use slm_recipe::EndpointSection;

use crate::Tokens;

/// How often somebody who waits for room looks whether the work was stopped.
const WAKE: Duration = Duration::from_millis(50);

/// What may be spent, what is, and what is set aside.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_tokens: u64,
    limit_usd: f64,
    prices: Prices,
    state: Mutex<State>,
    settled: Condvar,
}

/// Dollars for a million tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prices {
    prompt: f64,
    completion: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    spent: Tokens,
    reserved: Tokens,
    /// Tokens by which the longest prompt so far went beyond what was foreseen.
    excess: u64,
}

/// Why nothing can be set aside.
#[derive(Debug, PartialEq)]
pub(crate) enum NoRoom {
    /// The limit, what the request may cost, and what is spent, each with its unit.
    Reached {
        budget: String,
        next: String,
        spent: String,
    },
    /// The work was stopped while it waited.
    Stopped,
}

impl Prices {
    pub(crate) fn of(endpoint: &EndpointSection) -> Self {
        Self {
            prompt: endpoint.usd_per_million_prompt_tokens,
            completion: endpoint.usd_per_million_completion_tokens,
        }
    }

    pub(crate) fn usd(self, tokens: Tokens) -> f64 {
        (tokens.prompt as f64 * self.prompt + tokens.completion as f64 * self.completion) / 1e6
    }
}

impl Budget {
    /// The limit of an endpoint, of which something is spent already.
    pub(crate) fn new(endpoint: &EndpointSection, spent: Tokens) -> Self {
        Self {
            limit_tokens: endpoint.budget_tokens,
            limit_usd: endpoint.budget_usd,
            prices: Prices::of(endpoint),
            state: Mutex::new(State {
                spent,
                ..State::default()
            }),
            settled: Condvar::new(),
        }
    }

    /// Sets the most that a request may cost aside; waits while what others have set aside may come back. Gives what was set
    /// aside.
    pub(crate) fn reserve(
        &self,
        worst: Tokens,
        is_stopped: impl Fn() -> bool,
    ) -> Result<Tokens, NoRoom> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if is_stopped() {
                return Err(NoRoom::Stopped);
            }
            let worst = Tokens {
                prompt: worst.prompt + state.excess,
                ..worst
            };
            let Some((budget, next, spent)) = self.obstacle(&state, worst) else {
                state.reserved = state.reserved + worst;
                return Ok(worst);
            };
            if state.reserved == Tokens::default() {
                return Err(NoRoom::Reached {
                    budget,
                    next,
                    spent,
                });
            }
            let waited = self.settled.wait_timeout(state, WAKE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Replaces what was set aside by what it cost.
    pub(crate) fn settle(&self, reserved: Tokens, cost: Tokens) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reserved = state.reserved - reserved;
        state.spent = state.spent + cost;
        let beyond = cost.prompt.saturating_sub(reserved.prompt);
        if beyond > 0 {
            state.excess += beyond;
        }
        self.settled.notify_all();
    }

    /// The limit that another request might break.
    fn obstacle(&self, state: &State, worst: Tokens) -> Option<(String, String, String)> {
        let after = state.spent + state.reserved + worst;
        if self.limit_tokens > 0 && after.total() > self.limit_tokens {
            let next = worst.total();
            let spent = state.spent.total();
            return Some((
                format!("{} tokens", self.limit_tokens),
                next.to_string(),
                spent.to_string(),
            ));
        }
        let usd = |tokens| format!("${:.4}", self.prices.usd(tokens));
        (self.limit_usd > 0.0 && self.prices.usd(after) > self.limit_usd)
            .then(|| (format!("${}", self.limit_usd), usd(worst), usd(state.spent)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn tokens(prompt: u64, completion: u64) -> Tokens {
        Tokens { prompt, completion }
    }

    fn spent_of(budget: &Budget) -> Tokens {
        budget.state.lock().unwrap().spent
    }

    fn budget(limit: u64) -> Budget {
        let endpoint = EndpointSection {
            budget_tokens: limit,
            ..EndpointSection::default()
        };
        Budget::new(&endpoint, tokens(10, 0))
    }

    #[test]
    fn the_worst_case_has_to_fit_and_what_is_left_comes_back() {
        let budget = budget(100);
        let first = budget.reserve(tokens(50, 20), || false).unwrap();
        budget.settle(first, tokens(5, 5));
        assert_eq!(spent_of(&budget).total(), 20);
        assert!(budget.reserve(tokens(60, 20), || false).is_ok());
        assert_eq!(budget.reserve(tokens(1, 0), || true), Err(NoRoom::Stopped));
    }

    #[test]
    fn money_is_counted_by_its_own_prices() {
        let endpoint = EndpointSection {
            budget_usd: 0.01,
            usd_per_million_prompt_tokens: 1.0,
            usd_per_million_completion_tokens: 10.0,
            ..EndpointSection::default()
        };
        let budget = Budget::new(&endpoint, tokens(1000, 800));
        let refused = NoRoom::Reached {
            budget: "$0.01".into(),
            next: "$0.0011".into(),
            spent: "$0.0090".into(),
        };
        assert_eq!(budget.reserve(tokens(100, 100), || false), Err(refused));
        assert!(budget.reserve(tokens(0, 100), || false).is_ok());
    }

    #[test]
    fn a_prompt_that_costs_more_than_foreseen_is_a_lesson() {
        let budget = budget(200);
        let reserved = budget.reserve(tokens(20, 0), || false).unwrap();
        budget.settle(reserved, tokens(50, 0));
        assert_eq!(budget.reserve(tokens(20, 0), || false), Ok(tokens(50, 0)));
    }

    proptest! {
        /// Eight threads spend what they like, up to what they set aside.
        #[test]
        fn it_holds_whatever_is_in_flight(limit in 50_u64..2000, seed in 0_u64..1000) {
            let (budget, spent) = (budget(limit), AtomicU64::new(10));
            std::thread::scope(|scope| {
                for thread in 0..8_u64 {
                    let (budget, spent) = (&budget, &spent);
                    scope.spawn(move || {
                        for turn in 0..40_u64 {
                            let draw = (seed * 31 + thread * 7 + turn * 13) % 60;
                            let Ok(reserved) = budget.reserve(tokens(draw, 10), || false) else { return };
                            let cost = tokens(reserved.prompt * (turn % 3) / 2 % (reserved.prompt + 1), turn % 11);
                            spent.fetch_add(cost.total(), Ordering::SeqCst);
                            budget.settle(reserved, cost);
                        }
                    });
                }
            });
            let spent = spent.into_inner();
            prop_assert!(spent <= limit.max(10), "{} of {}", spent, limit);
            prop_assert_eq!(spent, spent_of(&budget).total());
        }
    }
}
