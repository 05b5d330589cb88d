//! The rows that are shown before a prompt, drawn as lm-evaluation-harness draws them.

use rand_mt::Mt;

use crate::template::Fields;

/// Which rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// Others for each row that is asked.
    Random,
    /// The first ones.
    FirstN,
}

/// Draws one row's examples after another's: the draws are one stream over the rows of a task.
pub(crate) struct Draws<'a> {
    pool: &'a [Fields],
    sampler: Sampler,
    random: PythonRandom,
}

impl<'a> Draws<'a> {
    pub(crate) fn new(pool: &'a [Fields], sampler: Sampler, seed: u32) -> Self {
        Self {
            pool,
            sampler,
            random: PythonRandom::new(seed),
        }
    }

    /// `n` rows of the pool; `without` is not among them. `None` where the pool has fewer.
    pub(crate) fn next(&mut self, n: usize, without: Option<&Fields>) -> Option<Vec<&'a Fields>> {
        if n == 0 {
            return Some(Vec::new());
        }
        let pool: Vec<&Fields> = self.pool.iter().collect();
        let is_other = |row: &&Fields| without.is_none_or(|without| *row != without);
        let mut drawn: Vec<&Fields> = match self.sampler {
            Sampler::FirstN => pool.into_iter().filter(is_other).collect(),
            Sampler::Random => {
                let wanted = n + usize::from(without.is_some());
                let drawn = self.random.sample(&pool, wanted)?;
                let mut drawn: Vec<_> = drawn.into_iter().filter(is_other).collect();
                if drawn.len() < n {
                    let others: Vec<_> = pool.into_iter().filter(is_other).collect();
                    drawn = self.random.sample(&others, n)?;
                }
                drawn
            }
        };
        drawn.truncate(n);
        (drawn.len() == n).then_some(drawn)
    }
}

/// `random.Random(seed)` of CPython: the Mersenne Twister, and `sample` on top of it.
struct PythonRandom {
    twister: Mt,
}

impl PythonRandom {
    fn new(seed: u32) -> Self {
        Self {
            twister: Mt::new_with_key([seed]),
        }
    }

    /// A number below `n`, which is at least 1: as many bits as it has, drawn until one fits.
    fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.twister.next_u32() >> (32 - bits)) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `k` of the population without repetition: from a shrinking pool where that is smaller than a set would be.
    fn sample<T: Copy>(&mut self, population: &[T], k: usize) -> Option<Vec<T>> {
        let n = population.len();
        if k > n {
            return None;
        }
        let mut set_size = 21;
        if k > 5 {
            set_size += 4usize.pow(((3 * k) as f64).log(4.0).ceil() as u32);
        }
        let mut drawn = Vec::with_capacity(k);
        if n <= set_size {
            let mut pool = population.to_vec();
            for i in 0..k {
                let j = self.below(n - i);
                drawn.push(pool[j]);
                pool[j] = pool[n - i - 1];
            }
        } else {
            let mut seen = std::collections::HashSet::new();
            while drawn.len() < k {
                let j = self.below(n);
                if seen.insert(j) {
                    drawn.push(population[j]);
                }
            }
        }
        Some(drawn)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// From CPython 3.11: `r = random.Random(1234); r.sample(range(10), 3), r.sample(range(1000), 5), r.sample(range(100), 8)`.
    #[test]
    fn draws_are_those_of_python() {
        let mut random = PythonRandom::new(1234);
        let range = |n: usize| (0..n).collect::<Vec<_>>();
        assert_eq!(random.sample(&range(10), 3), Some(vec![7, 1, 0]));
        assert_eq!(
            random.sample(&range(1000), 5),
            Some(vec![92, 932, 965, 961, 826])
        );
        assert_eq!(
            random.sample(&range(100), 8),
            Some(vec![74, 4, 85, 88, 10, 12, 98, 45])
        );
        assert_eq!(random.sample(&range(2), 3), None);
    }

    #[test]
    fn the_row_that_is_asked_is_not_shown() {
        let row = |n: usize| json!({ "n": n }).as_object().cloned().unwrap_or_default();
        let pool: Vec<Fields> = (0..4).map(row).collect();
        let mut first = Draws::new(&pool, Sampler::FirstN, 1);
        assert_eq!(
            first.next(2, Some(&pool[0])),
            Some(vec![&pool[1], &pool[2]])
        );
        assert_eq!(first.next(4, Some(&pool[0])), None);
        let mut random = Draws::new(&pool, Sampler::Random, 1);
        for _ in 0..20 {
            let drawn = random.next(3, Some(&pool[2])).unwrap();
            assert!(drawn.len() == 3 && !drawn.contains(&&pool[2]));
        }
    }
}
