//! The teacher of a recipe: where it is, whether it speaks of the same tokens, and where what it said is kept.

mod proof;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use slm_data::{CacheFolder, CacheKey, Sample, Translator, WorkerShare};
use slm_dist::Launch;
use slm_model::{Decoder, DecoderConfig, QuantScheme, device, locate, quant_scheme};
use slm_recipe::{DistillLoss, DistillMethod, DistillSection, Recipe};
use slm_run::{Event, StageStatus, files_below, sha256_bytes, sha256_file, sha256_json};
use slm_text::{ChatTokenizer, VocabularyProof};
use slm_train::{Alignment, LiveTeacher, Practice, Taught, TeacherShape, teach};

use crate::{
    base::Base, failure::refuse, reporter::Reporter, served::ServedTeacher, walk::recipe_of,
};

/// A model that teaches, not loaded yet.
pub(crate) struct TeacherModel {
    pub(crate) section: DistillSection,
    /// Where it computes.
    device: String,
    folder: PathBuf,
    adapter: Option<PathBuf>,
    /// How the base of a run's adapter was kept.
    scheme: Option<QuantScheme>,
    /// Read where it is needed: a shape can be measured without it.
    tokenizer: OnceCell<ChatTokenizer>,
    config: DecoderConfig,
    /// Computed once: weights may be many gigabytes.
    digest: OnceCell<String>,
}

/// A recipe without a teacher has nothing to distil.
pub(crate) fn refuse_without(recipe: &Recipe, path: &Path) -> Result<()> {
    match recipe.distill {
        Some(_) => Ok(()),
        None => Err(refuse(
            format!("recipe `{}` has no `[distill]`", path.display()),
            "say who teaches: `distill.teacher.path=FOLDER` after the recipe, or in it; without a teacher, `slm-tune train`",
        )),
    }
}

/// A served teacher says what it knows with its answers, and is asked for both at once.
pub(crate) fn refuse_served(recipe: &Recipe, path: &Path) -> Result<()> {
    match ServedTeacher::of(recipe) {
        None => Ok(()),
        Some(_) => Err(refuse(
            "the recipe's teacher is behind an endpoint, and says what it knows with its answers",
            format!(
                "`slm-tune synth {0}` asks it for rows, with `distill.teacher.top_logprobs` for more; `slm-tune distill {0}` learns them as well",
                path.display()
            ),
        )),
    }
}

impl TeacherModel {
    /// Finds the teacher of a recipe that has one on this machine.
    pub(crate) fn find(recipe: &Recipe, offline: bool) -> Result<Option<Self>> {
        let section = recipe.distill.clone();
        let section = section.filter(|it| it.method == DistillMethod::Logits);
        let Some(section) = section else {
            return Ok(None);
        };
        let given = &section.teacher;
        let path = Path::new(&given.path);
        let (folder, adapter, scheme) = match path.join("run.json").exists() {
            true => of_run(path, offline)?,
            false => (
                locate(&given.path, given.revision.as_deref(), offline)
                    .with_context(|| format!("failed to find the teacher `{}`", given.path))?,
                None,
                None,
            ),
        };
        let adapter = given.adapter.as_ref().map(PathBuf::from).or(adapter);
        let failed = || format!("failed to load the teacher `{}`", given.path);
        let config = DecoderConfig::read(&folder).with_context(failed)?;
        Ok(Some(Self {
            device: given
                .device
                .clone()
                .unwrap_or_else(|| recipe.model.device.clone()),
            section,
            folder,
            adapter,
            scheme,
            tokenizer: OnceCell::new(),
            config,
            digest: OnceCell::new(),
        }))
    }

    /// Digest of its weights, and what they are computed in.
    pub(crate) fn digest(&self) -> Result<String> {
        if let Some(digest) = self.digest.get() {
            return Ok(digest.clone());
        }
        let mut files = Vec::new();
        let roots = [Some(&self.folder), self.adapter.as_ref()];
        for root in roots.into_iter().flatten() {
            for path in files_below(root)? {
                let is_weight = path.extension().is_some_and(|end| end == "safetensors");
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if is_weight || ["config.json", "adapter_config.json"].contains(&name.as_ref()) {
                    files.push((name.into_owned(), sha256_file(&path)?));
                }
            }
        }
        let scheme = format!("{:?}", self.scheme);
        let digest = sha256_json(&(files, self.section.teacher.dtype, scheme));
        Ok(self.digest.get_or_init(|| digest).clone())
    }

    /// Where what it says of rows is kept, if it is to be kept.
    pub(crate) fn cache(&self, base: &Base, samples: &[Sample]) -> Result<Option<CacheFolder>> {
        let Some(dir) = &self.section.cache_dir else {
            return Ok(None);
        };
        let vocab = self.vocabularies(base)?.shared;
        let mut key = CacheKey::new(samples, self.section.top_k, self.section.mass, vocab);
        key.teacher = self.digest()?;
        let tokens: Vec<_> = (0..vocab as u32)
            .map(|id| base.tokenizer.token(id))
            .collect();
        key.tokenizer = sha256_json(&tokens);
        key.template = sha256_bytes(
            base.tokenizer
                .template_source()
                .unwrap_or_default()
                .as_bytes(),
        );
        Ok(Some(CacheFolder::new(Path::new(dir), key)))
    }

    /// The teacher itself.
    pub(crate) fn load(&self) -> Result<Decoder> {
        let given = &self.section.teacher;
        let failed = || format!("failed to load the teacher `{}`", given.path);
        let device = device::open_nth(&self.device, Launch::local_rank()?)?;
        let mut decoder = Decoder::load_quantized(&self.folder, &device, given.dtype, self.scheme)
            .with_context(failed)?;
        if let Some(adapter) = &self.adapter {
            decoder.load_adapter(adapter).with_context(failed)?;
        }
        Ok(decoder.inference())
    }

    /// The same with random weights, for measuring.
    pub(crate) fn random(&self) -> Result<Decoder> {
        let (device, dtype) = (device::open(&self.device)?, self.section.teacher.dtype);
        let decoder = Decoder::random(self.config.clone(), 0, &device, dtype, self.scheme);
        Ok(decoder.inference())
    }

    /// Asks it for a worker's share of the shards that `folder` does not have yet. Nothing is loaded where it has all.
    pub(crate) fn ask(
        &self,
        folder: &CacheFolder,
        samples: &[Sample],
        share: WorkerShare,
        batch_size: usize,
        reporter: &mut Reporter,
    ) -> Result<Taught> {
        let stage = |status| Event::Stage {
            name: "teach".into(),
            status,
        };
        let n = folder.shards(samples).len();
        let own = (0..n).filter(|at| at % share.of == share.nth);
        if own.clone().all(|at| folder.has(at, n)) {
            reporter.show(stage(StageStatus::Skipped));
            return Ok(Taught {
                kept_shards: own.count(),
                ..Taught::default()
            });
        }
        reporter.show(stage(StageStatus::Started));
        let decoder = self.load()?;
        let mut emit = |event| reporter.show(event);
        let taught = teach(&decoder, folder, samples, share, batch_size, &mut emit);
        let status = match taught.is_ok() {
            true => StageStatus::Done,
            false => StageStatus::Failed,
        };
        reporter.show(stage(status));
        Ok(taught?)
    }

    /// Ids that both heads have a row for.
    pub(crate) fn shared_rows(&self, student: &Decoder) -> usize {
        self.config.vocab_size.min(student.config().vocab_size)
    }

    /// It beside a student, as it is asked in every step of `recipe`, and how answers are generated.
    pub(crate) fn live(
        &self,
        decoder: &Decoder,
        student: &Decoder,
        base: &Base,
        recipe: &Recipe,
    ) -> Result<LiveTeacher> {
        let (live, vocab) = match self.section.loss {
            DistillLoss::Divergence => {
                let shared = self.shared_rows(student);
                (LiveTeacher::new(decoder, student, shared), shared)
            }
            DistillLoss::Uld => {
                let translator = self.translator(base)?.into();
                let live = LiveTeacher::foreign(decoder, student, translator);
                (live, base.tokenizer.vocab_size())
            }
        };
        let stop_ids = base.tokenizer.stop_ids();
        let max_length = recipe.model.max_length;
        let practice = Practice::new(&self.section, stop_ids, max_length, vocab);
        let alignment = self.alignment(student, recipe.seed)?;
        Ok(live.practising(practice).aligned(alignment))
    }

    /// Its layers that a student's follow.
    pub(crate) fn alignment(&self, student: &Decoder, seed: u64) -> Result<Option<Alignment>> {
        let hidden = &self.section.hidden;
        Ok(Alignment::new(hidden, student, &self.config, seed)?)
    }

    /// Writes rows in its tokens.
    pub(crate) fn translator(&self, base: &Base) -> Result<Translator> {
        let teacher = ChatTokenizer::load(&self.folder, "auto").with_context(|| {
            format!("failed to load the teacher `{}`", self.section.teacher.path)
        })?;
        Ok(Translator::new(&base.tokenizer, teacher)?)
    }

    fn vocabularies(&self, base: &Base) -> Result<VocabularyProof> {
        Ok(VocabularyProof::of(&base.tokenizer, self.tokenizer()?))
    }

    fn tokenizer(&self) -> Result<&ChatTokenizer> {
        if let Some(tokenizer) = self.tokenizer.get() {
            return Ok(tokenizer);
        }
        let loaded = ChatTokenizer::load(&self.folder, "auto").with_context(|| {
            format!("failed to load the teacher `{}`", self.section.teacher.path)
        })?;
        Ok(self.tokenizer.get_or_init(|| loaded))
    }

    /// Its shape, where it is asked in every step on the device of the student of `recipe`.
    pub(crate) fn shape_beside(&self, recipe: &Recipe) -> Option<TeacherShape> {
        let is_beside = self.section.cache_dir.is_none() && self.device == recipe.model.device;
        is_beside.then(|| TeacherShape {
            config: self.config.clone(),
            dtype: self.section.teacher.dtype,
            scheme: self.scheme,
            hidden: self.section.hidden.clone(),
        })
    }
}

/// The folder, adapter and codes of what a run has made.
fn of_run(run: &Path, offline: bool) -> Result<(PathBuf, Option<PathBuf>, Option<QuantScheme>)> {
    let [merged, adapter] = ["export/merged", "export/adapter"].map(|name| run.join(name));
    if merged.exists() {
        return Ok((merged, None, None));
    }
    if !adapter.exists() {
        let run = run.display();
        return Err(refuse(
            format!("the teacher, the run in `{run}`, has exported nothing yet"),
            format!(
                "finish it with `slm-tune resume {run}`, or write its files with `slm-tune export {run}`"
            ),
        ));
    }
    let model = recipe_of(run, &[])?.model;
    let folder = locate(&model.base_model, model.revision.as_deref(), offline)?;
    Ok((folder, Some(adapter), quant_scheme(&model)))
}
