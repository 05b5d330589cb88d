//! A teacher in the walk: found and proven before anything is loaded, asked for what its cache lacks, compared with the cache.

use anyhow::Result;
use slm_data::{Shards, TeacherCache, WorkerShare};
use slm_endpoint::Alignment;
use slm_model::Decoder;
use slm_recipe::{DistillSection, TeacherSection};
use slm_run::{Event, write_file_atomic};
use slm_train::{Faithfulness, Measure, Teaching, Tutor};

use super::Walk;
use crate::{
    base::Base,
    failure::refuse,
    served::{self, ServedTeacher},
    teacher::TeacherModel,
};

/// Under which name the run notes the digest of who taught.
pub(super) const TEACHER: &str = "teacher";
/// How the cache compares with its teacher, in the run directory.
const FAITHFULNESS: &str = "teacher_cache.json";
/// Rows on which a cache is compared with its teacher.
const COMPARED_ROWS: usize = 32;

impl Walk {
    /// The teacher of the recipe, if it has one.
    pub(super) fn teacher_found(&self) -> Result<Option<TeacherModel>> {
        TeacherModel::find(&self.recipe, self.offline)
    }

    /// The same, once it is proven that it can teach these rows.
    pub(super) fn teacher(&mut self, base: &Base, shards: &Shards) -> Result<Option<TeacherModel>> {
        let teacher = self.teacher_found()?;
        if let Some(teacher) = &teacher {
            for text in teacher.prove(&self.recipe, base, shards.train())? {
                self.reporter.show(Event::Note { text });
            }
        }
        Ok(teacher)
    }

    /// Asks the teacher for what its cache does not have yet, where this walk may.
    pub(super) fn ask(
        &mut self,
        teacher: Option<&TeacherModel>,
        base: &Base,
        shards: &Shards,
    ) -> Result<()> {
        let Some(teacher) = teacher.filter(|_| self.teaches) else {
            return Ok(());
        };
        let Some(folder) = teacher.cache(base, shards.train())? else {
            return Ok(());
        };
        let batch_size = self.recipe.train.per_device_eval_batch_size;
        let (samples, reporter) = (shards.train(), &mut self.reporter);
        teacher.ask(&folder, samples, WorkerShare::ALL, batch_size, reporter)?;
        Ok(())
    }

    /// How the student learns from its teacher. A cache that does not say what the teacher says is refused.
    pub(super) fn teaching(
        &mut self,
        teacher: Option<&TeacherModel>,
        base: &Base,
        shards: &Shards,
        student: &Decoder,
    ) -> Result<Option<Teaching>> {
        let Some(teacher) = teacher else {
            let found = self.served_teaching(base, shards, student)?;
            return Ok(found.map(|(teaching, alignment)| {
                let text = served::told(&alignment);
                self.reporter.show(Event::Note { text });
                teaching
            }));
        };
        let measure = Measure::new(&teacher.section, teacher.shared_rows(student));
        let samples = shards.train();
        let cache = teacher.cache(base, samples)?;
        let cache = cache.map(|folder| TeacherCache::open(&folder, samples));
        let cache = cache.transpose()?;
        let live = teacher.live(&teacher.load()?, student, base, &self.recipe)?;
        let Some(cache) = cache else {
            let tutor = Tutor::Live(live);
            return Ok(Some(Teaching { measure, tutor }));
        };
        let stride = samples.len().div_ceil(COMPARED_ROWS).max(1);
        let compared: Vec<_> = samples.iter().step_by(stride).collect();
        let batch_size = self.recipe.train.per_device_eval_batch_size;
        let found = Faithfulness::of(&live, &cache, student, &measure, &compared, batch_size);
        self.reporter.show(Event::Note { text: told(&found) });
        write_file_atomic(
            self.run.path(FAITHFULNESS),
            &serde_json::to_vec_pretty(&found)?,
        )?;
        refuse_unfaithful(&found, teacher.section.max_gap)?;
        let tutor = Tutor::Cached(cache.into());
        Ok(Some(Teaching { measure, tutor }))
    }

    /// What a student depends on besides its teacher: where the cache lies and where the teacher computes is not among it.
    pub(super) fn taught_as(&self) -> Option<DistillSection> {
        let section = self.recipe.distill.clone()?;
        Some(DistillSection {
            cache_dir: section.cache_dir.map(|_| String::new()),
            teacher: TeacherSection::default(),
            ..section
        })
    }

    /// Who taught, and what the cache kept of it, for the page.
    pub(super) fn taught_by(&self) -> Vec<(String, String)> {
        let Some(section) = &self.recipe.distill else {
            return Vec::new();
        };
        let mut facts = vec![("teacher".to_owned(), section.teacher.name().to_owned())];
        let kept = fs_err::read(self.run.path(FAITHFULNESS)).ok();
        let kept = kept.filter(|_| section.cache_dir.is_some());
        let found: Option<Faithfulness> = kept.and_then(|it| serde_json::from_slice(&it).ok());
        if let Some(found) = found {
            let cache = format!(
                "{:.1e} nats from it; {:.1} % of the divergence are not seen with `top_k = {}`",
                found.gap,
                100.0 * found.unseen(),
                section.top_k
            );
            facts.push(("teacher's cache".into(), cache));
        }
        facts
    }

    /// What a served teacher said of the tokens of its answers.
    fn served_teaching(
        &self,
        base: &Base,
        shards: &Shards,
        student: &Decoder,
    ) -> Result<Option<(Teaching, Alignment)>> {
        match ServedTeacher::of(&self.recipe) {
            Some(served) => served.teaching(base, shards.train(), student),
            None => Ok(None),
        }
    }

    /// [`Self::teaching`] in a process that trains along: the first one has compared.
    pub(super) fn taught_along(
        &self,
        teacher: Option<&TeacherModel>,
        base: &Base,
        shards: &Shards,
        student: &Decoder,
    ) -> Result<Option<Teaching>> {
        let Some(teacher) = teacher else {
            let found = self.served_teaching(base, shards, student)?;
            return Ok(found.map(|(teaching, _)| teaching));
        };
        let measure = Measure::new(&teacher.section, teacher.shared_rows(student));
        let tutor = match teacher.cache(base, shards.train())? {
            Some(folder) => Tutor::Cached(TeacherCache::open(&folder, shards.train())?.into()),
            None => Tutor::Live(teacher.live(&teacher.load()?, student, base, &self.recipe)?),
        };
        Ok(Some(Teaching { measure, tutor }))
    }
}

/// How far the cache is from its teacher, and what that does to the loss.
fn told(found: &Faithfulness) -> String {
    format!(
        "on {} rows the cache is {:.1e} nats from its teacher; of the divergence {:.4} it sees {:.4}, {:.1} % less",
        found.rows,
        found.gap,
        found.live,
        found.cached,
        100.0 * found.unseen()
    )
}

fn refuse_unfaithful(found: &Faithfulness, max_gap: f64) -> Result<()> {
    // A gap that is no number is none that is small.
    if found.gap <= max_gap {
        return Ok(());
    }
    Err(refuse(
        format!(
            "the cache is not what the teacher says: on {} rows they are {:.4} nats per token apart, and `distill.max_gap` is {max_gap}",
            found.rows, found.gap
        ),
        "it may have been made with another version, device or precision: delete it, and `slm-tune teach RECIPE` makes it again",
    ))
}
