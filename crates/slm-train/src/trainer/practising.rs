//! Micro-batches whose answers are generated, in the loop.

use slm_data::collate;
use slm_dist::DistError;
use slm_model::Decoder;

use super::Trainer;
use super::plan::{Content, MicroBatch};
use crate::Author;

impl Trainer<'_> {
    /// The same micro-batches, with answers of the student or its teacher where it is their turn. Of those that another process
    /// takes, it is only noted who answers.
    pub(super) fn practised(
        &self,
        decoder: &Decoder,
        mut group: Vec<MicroBatch>,
    ) -> Vec<MicroBatch> {
        let Some(teaching) = &self.options.teaching else {
            return group;
        };
        let Some((practice, teacher)) = teaching.practice() else {
            return group;
        };
        for (i, it) in group.iter_mut().enumerate() {
            let draw = self.draw(i);
            it.author = practice.author(draw);
            let answers = match it.author {
                Author::Rows => continue,
                Author::Student => decoder,
                Author::Teacher => teacher,
            };
            if !self.ranks.takes(i) {
                continue;
            }
            let Content::Rows(_, given) = &it.content else {
                continue;
            };
            let rows = practice.answered(answers, &given.iter().collect::<Vec<_>>(), draw);
            let batch = collate(&rows.iter().collect::<Vec<_>>());
            it.content = Content::Rows(batch, rows);
        }
        group
    }

    /// Tokens of a step, and how many of them are learned: of generated answers, each process knows its own alone.
    pub(super) fn counted(&self, group: &[MicroBatch]) -> Result<[usize; 2], DistError> {
        let teaching = self.options.teaching.as_ref();
        let is_generated = teaching.is_some_and(|it| it.practice().is_some());
        let known = group.iter().enumerate();
        let known = known.filter(|(i, _)| !is_generated || self.ranks.takes(*i));
        let counts = known.fold([0, 0], |[tokens, learned], (_, it)| {
            let batch = it.batch();
            [tokens + batch.tokens, learned + batch.learned]
        });
        if !is_generated {
            return Ok(counts);
        }
        let sums = self.ranks.sum(counts.map(|n| n as f64).to_vec())?;
        Ok([sums[0] as usize, sums[1] as usize])
    }
}
