//! Logits beside logits: what two models differ by at each token.

use crate::{Comparison, TextComparison, Worst};

/// What is gathered over the tokens.
#[derive(Default)]
pub(crate) struct Sums {
    max_logit_difference: f64,
    largest_logit: f64,
    /// By token, with the prompt and the place in it.
    kl: Vec<(f64, [usize; 2])>,
    agreed: usize,
    /// Σ ln p − ln q of the tokens that come next, and how many they are.
    surprise: f64,
    nexts: usize,
}

impl Sums {
    /// One position, `at` a place in a prompt: the logits of the trained and of the exported model, and the token that comes next.
    pub(crate) fn add(&mut self, at: [usize; 2], p: &[f32], q: &[f32], next: Option<u32>) {
        for (&p, &q) in p.iter().zip(q) {
            let (p, q) = (f64::from(p), f64::from(q));
            self.max_logit_difference = larger(self.max_logit_difference, (p - q).abs());
            self.largest_logit = larger(self.largest_logit, p.abs());
        }
        self.kl.push((divergence(p, q), at));
        self.agreed += usize::from(likeliest(p) == likeliest(q));
        if let Some(next) = next.map(|id| id as usize) {
            let ln = |row: &[f32]| f64::from(row[next]) - log_sum_exp(row);
            self.surprise += ln(p) - ln(q);
            self.nexts += 1;
        }
    }

    /// The figures, not judged yet.
    pub(crate) fn comparison(mut self, file: &str, weights: &str) -> Comparison {
        let n = self.kl.len();
        self.kl.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mean = |sum: f64, n: usize| sum / n as f64;
        // NaN comes last, so it is the worst.
        let worst = self.kl.last().copied();
        let p99 = self.kl.get((n * 99).div_ceil(100).saturating_sub(1));
        Comparison {
            file: file.into(),
            weights: weights.into(),
            max_logit_difference: self.max_logit_difference,
            largest_logit: self.largest_logit,
            mean_kl: mean(self.kl.iter().map(|(kl, _)| kl).sum(), n),
            p99_kl: p99.map_or(f64::NAN, |(kl, _)| *kl),
            max_kl: worst.map_or(f64::NAN, |(kl, _)| kl),
            worst: worst.map(|(_, [prompt, place])| Worst::at(prompt, place)),
            top1_agreement: mean(self.agreed as f64, n),
            perplexity_ratio: (self.nexts > 0).then(|| mean(self.surprise, self.nexts).exp()),
            tokens: n,
            rounding: None,
            twin_logit_difference: None,
            text: TextComparison::default(),
            tasks: Vec::new(),
            content_sha256: String::new(),
            faults: Vec::new(),
            beyond: Vec::new(),
            ok: false,
        }
    }
}

/// The larger one; NaN is larger than any number, so that it is not lost.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
}

/// Σ p (ln p − ln q) in nats, of the distributions of two rows of logits; summed in f64.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let (p_norm, q_norm) = (log_sum_exp(p), log_sum_exp(q));
    let terms = p.iter().zip(q).map(|(&p, &q)| {
        let ln_p = f64::from(p) - p_norm;
        ln_p.exp() * (ln_p - (f64::from(q) - q_norm))
    });
    // The divergence of two equal rows is 0; rounding may leave -1e-17.
    let sum: f64 = terms.sum();
    if sum < 0.0 { 0.0 } else { sum }
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&v| (f64::from(v) - largest).exp()).sum();
    largest + sum.ln()
}

fn likeliest(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]))
}

#[cfg(test)]
mod tests {
    use slm_recipe::ParitySection;

    use super::*;

    fn compared(rows: &[(&[f32], &[f32])], weights: &str) -> Comparison {
        let mut sums = Sums::default();
        for (place, (p, q)) in rows.iter().enumerate() {
            sums.add([0, place], p, q, Some(1));
        }
        let limits = ParitySection::default();
        sums.comparison("file", weights).judge(&limits)
    }

    #[test]
    fn the_divergence_of_two_coins_is_computed_by_hand() {
        // p = (1/2, 1/2), q = (1/4, 3/4): KL = ln 2 - (ln 3) / 2 = 0.143841.
        let q = [0.0, 3f32.ln()];
        let got = compared(&[(&[5.0, 5.0], &q)], "Q8_0");
        assert!((got.mean_kl - 0.143_841).abs() < 1e-6, "{got:?}");
        assert!(!got.ok);
        assert_eq!(got.tokens, 1);
        // The token that comes next is the second one: 1/2 of p, 3/4 of q.
        assert!((got.perplexity_ratio.unwrap() - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!((got.p99_kl, got.max_kl), (got.mean_kl, got.mean_kl));
    }

    #[test]
    fn below_8_bits_only_the_recipe_sets_a_limit() {
        let q = [0.0, 3f32.ln()];
        let rows: [(&[f32], &[f32]); 1] = [(&[5.0, 5.0], &q)];
        assert!(compared(&rows, "Q4_K_M").ok);
        let mut sums = Sums::default();
        sums.add([0, 0], rows[0].0, rows[0].1, None);
        let limits = ParitySection {
            max_mean_kl: Some(0.1),
            ..ParitySection::default()
        };
        let got = sums.comparison("file", "Q4_K_M").judge(&limits);
        assert_eq!(
            got.finding(),
            "mean KL 1.44e-1 over 1 tokens, the limit is 0.1"
        );
        let mut sums = Sums::default();
        sums.add([0, 0], &[5.0, 4.9], &q, None);
        let limits = ParitySection {
            min_top1_agreement: Some(0.9),
            ..ParitySection::default()
        };
        let got = sums.comparison("file", "Q4_K_M").judge(&limits);
        assert!(!got.ok && got.faults.is_empty(), "{got:?}");
    }

    #[test]
    fn equal_rows_agree() {
        let row = [1.0, -3.0, 2.5];
        let got = compared(&[(&row, &row)], "F32");
        assert!(got.ok && got.max_logit_difference == 0.0 && got.mean_kl == 0.0);
        assert_eq!((got.top1_agreement, got.largest_logit), (1.0, 3.0));
    }

    #[test]
    fn logits_decide_without_rounding_and_distributions_with_it() {
        // A constant added to all logits changes no distribution.
        let rows: [(&[f32], &[f32]); 1] = [(&[1.0, 2.0], &[1.001, 2.001])];
        assert!(!compared(&rows, "F32").ok);
        assert!(compared(&rows, "BF16").ok);
    }

    #[test]
    fn the_worst_place_is_told_and_tails_have_limits() {
        let (same, off) = ([1.0, 2.0], [2.0, 1.0]);
        let mut sums = Sums::default();
        sums.add([0, 0], &same, &same, Some(1));
        sums.add([1, 7], &same, &off, Some(1));
        sums.add([1, 8], &same, &same, Some(1));
        let limits = ParitySection {
            max_p99_kl: Some(0.1),
            max_perplexity_ratio: Some(1.1),
            ..ParitySection::default()
        };
        let got = sums.comparison("file", "Q4_K_M").judge(&limits);
        let worst = got.worst.unwrap();
        assert_eq!((worst.prompt, worst.place), (1, 7));
        // A third of e: the next token lost one nat at one of three places.
        assert!((got.perplexity_ratio.unwrap() - (1f64 / 3.0).exp()).abs() < 1e-6);
        assert_eq!(
            got.beyond,
            [
                "KL of one token in a hundred 4.62e-1 or more, the limit is 0.1",
                "perplexity times 1.396, the limit is 1.1"
            ]
        );
    }

    #[test]
    fn what_is_not_a_number_is_not_ok() {
        let rows: [(&[f32], &[f32]); 2] =
            [(&[1.0, 2.0], &[f32::NAN, 2.0]), (&[1.0, 2.0], &[1.0, 2.0])];
        assert!(!compared(&rows, "F32").ok);
        assert!(!compared(&rows, "F16").ok);
    }
}
