//! The rows to learn from as questions, and a part of them for each of several models.

use slm_recipe::DataSection;
use slm_run::sha256_json;
use slm_text::ChatTokenizer;

use crate::error::DataError;
use crate::example::HeldOut;
use crate::reading::Reader;
use crate::side::Side;

/// The rows to learn from, held-out ones left out, as a model is asked about them. Rows that are tokens already are none to be
/// asked about with another answer, and are left out; so are those whose answers were judged.
///
/// # Errors
/// As for [`crate::prepare`], up to encoding.
pub fn asked_rows(
    section: &DataSection,
    tokenizer: &ChatTokenizer,
    seed: u64,
) -> Result<Vec<HeldOut>, DataError> {
    let reader = Reader::of(section, Some(tokenizer), seed);
    let rows = reader.side(section, &[], Side::Train)?.into_iter();
    let asked = rows.filter(|row| !row.content.is_tokens() && !row.content.is_judged());
    Ok(asked.map(HeldOut::from).collect())
}

impl HeldOut {
    /// Which of `n` parts a row falls into: the same for rows with the same prompt, whatever other rows there are.
    pub fn fold(&self, n: usize, seed: u64) -> usize {
        let digest = sha256_json(&("fold", seed, &self.prompt));
        // 15 hex digits are 60 bits.
        let number = u64::from_str_radix(&digest[..15], 16).unwrap_or_default();
        (number % n.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::Prompt;

    fn row(row: usize, prompt: &str, target: &str) -> HeldOut {
        HeldOut {
            row,
            origin: format!("a.jsonl:{row}"),
            prompt: Prompt::Text(prompt.into()),
            target: target.into(),
            slices: Default::default(),
        }
    }

    #[test]
    fn folds_are_about_equal_and_follow_the_prompt() {
        let mut sizes = [0; 5];
        for at in 0..1000 {
            let prompt = format!("prompt {at}");
            let fold = row(at, &prompt, "a").fold(5, 42);
            assert_eq!(fold, row(2 * at, &prompt, "b").fold(5, 42));
            sizes[fold] += 1;
        }
        // 200 each, within five standard deviations.
        assert!(
            sizes.iter().all(|size| (137..=263).contains(size)),
            "{sizes:?}"
        );
        let moved = (0..1000).filter(|at| {
            let row = row(*at, &format!("prompt {at}"), "a");
            row.fold(5, 42) != row.fold(5, 43)
        });
        assert!(moved.count() > 600);
    }
}
