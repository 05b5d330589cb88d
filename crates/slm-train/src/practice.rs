//! Answers that are generated while a student learns: its own, or its teacher's (Agarwal et al. 2024, GKD, algorithm 1).
//!
//! Who answers a micro-batch and what is drawn is a function of the run's seed, the step and the micro-batch alone, so that a
//! resumed run generates what an uninterrupted one does.

use slm_data::Sample;
use slm_model::{Decoder, Sampling, generate};
use slm_recipe::DistillSection;

/// Set apart from what dropout draws of the same numbers.
const DRAW: u64 = 0x6765_6e65_7261_7465;

/// How often and how answers are generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Practice {
    /// Share of the micro-batches that the student answers.
    pub lmbda: f64,
    /// Whether the teacher answers the others.
    pub seq_kd: bool,
    /// Most tokens of an answer, the one that ends it included.
    pub max_new_tokens: usize,
    /// Most tokens of an answer with its prompt.
    pub max_length: usize,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    pub top_p: f32,
    /// Ids that end an answer. It is learned which one did.
    pub stop_ids: Vec<u32>,
    /// Ids from 0 up to this mean the same to both; an answer ends before any other.
    pub vocab: usize,
}

/// Who wrote the answers of a micro-batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// The rows have them.
    #[default]
    Rows,
    Student,
    Teacher,
}

impl Practice {
    /// As a recipe has it; none where nothing is generated.
    pub fn new(
        section: &DistillSection,
        stop_ids: Vec<u32>,
        max_length: usize,
        vocab: usize,
    ) -> Option<Self> {
        section.generates().then_some(Self {
            lmbda: section.lmbda,
            seq_kd: section.seq_kd,
            max_new_tokens: section.generation.max_new_tokens,
            max_length,
            temperature: section.generation.temperature as f32,
            top_p: section.generation.top_p as f32,
            stop_ids,
            vocab,
        })
    }

    /// Who answers the micro-batch of this draw.
    pub fn author(&self, draw: u64) -> Author {
        // 53 bits of the draw, as a number from 0 to below 1.
        let unit = (slm_ops::noise::mix(draw ^ DRAW) >> 11) as f64 / (1_u64 << 53) as f64;
        match (unit < self.lmbda, self.seq_kd) {
            (true, _) => Author::Student,
            (false, true) => Author::Teacher,
            (false, false) => Author::Rows,
        }
    }

    /// The rows with the last answer of each in the words of `decoder`, which are all that is learned of them. A row from which
    /// nothing is learned stays as it is.
    pub fn answered(&self, decoder: &Decoder, rows: &[&Sample], draw: u64) -> Vec<Sample> {
        let prompts = rows.iter().filter_map(|row| row.last_prompt());
        let prompts: Vec<_> = prompts.map(<[u32]>::to_vec).collect();
        let mut answers = self.answers(decoder, &prompts, draw).into_iter();
        let answered = rows.iter().map(|row| {
            let answer = row
                .last_prompt()
                .and_then(|prompt| Some((prompt, answers.next()?)));
            match answer {
                Some((prompt, answer)) => joined(row.row, prompt, answer),
                None => (*row).clone(),
            }
        });
        answered.collect()
    }

    /// What each prompt is continued with, the token that ends it included.
    fn answers(&self, decoder: &Decoder, prompts: &[Vec<u32>], draw: u64) -> Vec<Vec<u32>> {
        let room = |prompt: &Vec<u32>| self.max_length.saturating_sub(prompt.len());
        let most: Vec<usize> = prompts
            .iter()
            .map(|it| room(it).min(self.max_new_tokens))
            .collect();
        let sampling = Sampling {
            max_new_tokens: most.iter().copied().max().unwrap_or(0),
            temperature: self.temperature,
            top_p: self.top_p,
            seed: slm_ops::noise::mix(slm_ops::noise::mix(draw ^ DRAW)),
            stop_ids: self.stop_ids.clone(),
        };
        let mut lengths = vec![0; prompts.len()];
        let mut goes_on = |row: usize, id: u32| {
            lengths[row] += 1;
            (id as usize) < self.vocab && lengths[row] < most[row]
        };
        let generated = generate(decoder, prompts, &sampling, &mut goes_on);
        let ended = generated.into_iter().zip(most).map(|(it, most)| {
            let known = it
                .ids
                .into_iter()
                .take_while(|id| (*id as usize) < self.vocab);
            known.chain(it.stop_id).take(most).collect()
        });
        ended.collect()
    }
}

/// A row of a prompt and an answer, of which the answer is learned.
fn joined(row: usize, prompt: &[u32], answer: Vec<u32>) -> Sample {
    let mut learn = vec![false; prompt.len()];
    learn.resize(prompt.len() + answer.len(), true);
    Sample::new(row, [prompt, &answer].concat(), learn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn practice(lmbda: f64, seq_kd: bool) -> Practice {
        let section = DistillSection {
            lmbda,
            seq_kd,
            ..DistillSection::default()
        };
        Practice::new(&section, vec![2], 16, 32).unwrap()
    }

    #[test]
    fn the_student_answers_its_share() {
        let share = |practice: &Practice, author| {
            let drawn = (0..10_000).filter(|draw| practice.author(*draw) == author);
            drawn.count() as f64 / 1e4
        };
        let some = practice(0.3, false);
        // Four standard deviations of 10,000 draws.
        assert!((share(&some, Author::Student) - 0.3).abs() < 0.019);
        assert_eq!(share(&some, Author::Teacher), 0.0);
        assert_eq!(share(&practice(1.0, false), Author::Student), 1.0);
        let both = practice(0.3, true);
        assert_eq!(share(&both, Author::Rows), 0.0);
        assert_eq!(share(&both, Author::Student), share(&some, Author::Student));
    }

    #[test]
    fn without_either_nothing_is_generated() {
        let section = DistillSection::default();
        assert_eq!(Practice::new(&section, vec![2], 16, 32), None);
    }
}
