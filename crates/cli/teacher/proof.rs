//! Whether a teacher can read the rows of a student: before anything heavy is loaded.

use anyhow::Result;
use slm_data::Sample;
use slm_recipe::{DistillLoss, Finding, Recipe};
use slm_train::Alignment;

use super::TeacherModel;
use crate::{base::Base, failure::refuse, table::thousands};

impl TeacherModel {
    /// Proves that ids mean the same to both, and that the rows are such as the teacher reads. Returns what is worth knowing.
    pub(crate) fn prove(
        &self,
        recipe: &Recipe,
        base: &Base,
        samples: &[Sample],
    ) -> Result<Vec<String>> {
        if self.section.loss == DistillLoss::Uld {
            return Ok(vec![self.prove_alignment(base, samples)?]);
        }
        self.prove_vocabulary(base)?;
        self.prove_rows(recipe, samples)?;
        let mut notes = Vec::new();
        let proof = self.vocabularies(base)?;
        for (of, other, n, tokens) in [
            (
                "student",
                "teacher",
                proof.beyond[0],
                &proof.tokens_beyond[0],
            ),
            (
                "teacher",
                "student",
                proof.beyond[1],
                &proof.tokens_beyond[1],
            ),
        ] {
            if n > 0 {
                let tokens: Vec<_> = tokens
                    .iter()
                    .map(|it| format!("`{}`", it.escape_debug()))
                    .collect();
                let more = if n > tokens.len() { ", .." } else { "" };
                notes.push(format!(
                    "the {of} has {n} tokens that the {other} does not have, and nothing is learned of them: {}{more}",
                    tokens.join(", ")
                ));
            }
        }
        let student = base.config(recipe)?;
        let rows = [student.vocab_size, self.config.vocab_size];
        if rows[0] != rows[1] {
            notes.push(format!(
                "the student's head has {} rows and the teacher's {}: the {} ids that both have are compared",
                rows[0], rows[1], rows[0].min(rows[1])
            ));
        }
        let pairs = Alignment::pairs(&self.section.hidden, &student, &self.config)?;
        let widths = [student.hidden_size, self.config.hidden_size];
        if widths[0] != widths[1] && !pairs.is_empty() {
            notes.push(format!(
                "the student's layers are {} wide and the teacher's {}: each of {} mapped layers learns a projection of its own, which is not exported",
                widths[0], widths[1], pairs.len()
            ));
        }
        let templates = [&base.tokenizer, self.tokenizer()?].map(|it| it.template_source());
        if templates[0] != templates[1] && base.tokenizer.has_template() {
            let text =
                "the teacher reads the rows in the student's chat template, which is not its own";
            notes.push(text.into());
        }
        Ok(notes)
    }

    fn prove_vocabulary(&self, base: &Base) -> Result<()> {
        let proof = self.vocabularies(base)?;
        if proof.holds() {
            return Ok(());
        }
        let examples = proof.counterexamples.iter().map(|(id, student, teacher)| {
            let [student, teacher] = [student, teacher].map(|it| it.escape_debug().to_string());
            format!("{id} is `{student}` to the student and `{teacher}` to the teacher")
        });
        let examples: Vec<_> = examples.collect();
        Err(refuse(
            format!(
                "the teacher `{}` has another vocabulary: {} of {} shared ids are other tokens; {}",
                self.section.teacher.path,
                proof.different,
                proof.shared,
                examples.join("; ")
            ),
            "distributions over tokens compare only between models of one vocabulary: take a teacher of the student's family, or compare sorted probabilities, `distill.loss = \"uld\"`",
        ))
    }

    /// Counts where tokens of both begin at the same place, which is where the student learns from a teacher with tokens of its own.
    fn prove_alignment(&self, base: &Base, samples: &[Sample]) -> Result<String> {
        let translator = self.translator(base)?;
        let (mut learned, mut compared) = (0, 0);
        for sample in samples {
            learned += sample.learned();
            compared += translator.translate(sample)?.places.len();
        }
        if compared == 0 {
            return Err(refuse(
                format!(
                    "of {learned} learned tokens none begins where one of the teacher `{}` does",
                    self.section.teacher.path
                ),
                "its tokens spell other texts: take another teacher",
            ));
        }
        Ok(format!(
            "of {} learned tokens {} begin where one of the teacher's does, and are compared with it",
            thousands(learned),
            thousands(compared)
        ))
    }

    fn prove_rows(&self, recipe: &Recipe, samples: &[Sample]) -> Result<()> {
        let largest = samples.iter().flat_map(|row| row.ids.iter().copied()).max();
        if let Some(id) = largest.filter(|id| *id as usize >= self.config.vocab_size) {
            let rows = self.config.vocab_size;
            return Err(refuse(
                format!("the rows have the id {id}, and the teacher's embedding has {rows} rows"),
                "take a teacher that knows all tokens of the rows, or a chat template without the token",
            ));
        }
        let tokenizer = self.tokenizer()?;
        let bos = tokenizer.bos_id().filter(|_| tokenizer.adds_bos());
        let is_accepted = recipe.data.accept_findings.contains(&Finding::MissingBos);
        let Some(bos) = bos.filter(|_| !is_accepted) else {
            return Ok(());
        };
        let without = samples
            .iter()
            .filter(|row| row.ids.first() != Some(&bos))
            .count();
        match without {
            0 => Ok(()),
            n => Err(refuse(
                format!(
                    "the teacher puts `{}` before every text, and {n} of {} rows do not begin with it",
                    tokenizer.token(bos),
                    samples.len()
                ),
                "a model without its first token says something else: take a tokenizer and a chat template that write it; \
                 if the rows are right, `data.accept_findings = [\"missing_bos\"]`",
            )),
        }
    }
}
