//! What a run learns from, proven on all of its rows before the first step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_recipe::{Finding, Overlong, TrainOn};
use slm_run::sha256_bytes;
use slm_text::{ChatTokenizer, TokenRole};

use crate::encode::{EncodedAnswer, Encoding};
use crate::error::DataError;
use crate::example::Example;
use crate::mask_probe::Probe;
use crate::sample::Sample;
use crate::side::{Side, Sides, told};
use crate::side_writer::SideCounts;

/// Rows that are kept to be rendered again; one of each file.
pub(crate) const PROBES: usize = 4;

/// What a run learns from, counted over all of its rows, and what those who answer later can check themselves against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskProof {
    /// The recipe's key.
    pub train_on: TrainOn,
    /// The recipe's key.
    pub train_on_eos: bool,
    /// SHA-256 of `tokenizer.json`, in hex.
    pub tokenizer: String,
    /// SHA-256 of the chat template's text; none without a template.
    pub template: Option<String>,
    /// What `strftime_now` told the template, in seconds since 1970.
    pub rendered_at: i64,
    /// Whether the tokenizer puts BOS before every text.
    pub adds_bos: bool,
    /// Rows to learn from.
    pub train: SideProof,
    /// Rows that are held out.
    pub validation: SideProof,
    /// Rows that are held out for the tasks.
    #[serde(default, skip_serializing_if = "SideProof::is_empty")]
    pub test: SideProof,
    /// Some rows with the ids that they became.
    pub probes: Vec<Probe>,
}

/// The rows of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideProof {
    /// Rows that are kept; each answer counts for itself, with its prompt, in rows with two.
    pub sequences: usize,
    /// Their tokens by whose they are.
    pub roles: BTreeMap<TokenRole, RoleTokens>,
    /// Sequences without a learned token; a run refuses to have any.
    pub unlearned: usize,
    /// Sequences whose last learned token is one that generation stops at.
    pub ended: usize,
    /// Sequences that begin with BOS, once.
    pub begun: usize,
    /// Rows that were cut to `max_length`.
    pub cut: usize,
    /// Rows that were left out.
    pub left_out: usize,
    /// Sequences with each finding; all of them accepted by the recipe.
    pub findings: BTreeMap<Finding, usize>,
}

/// Tokens of one role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleTokens {
    /// All of them.
    pub tokens: usize,
    /// Those that are learned.
    pub learned: usize,
}

impl SideProof {
    /// Whether there is no row on this side.
    pub fn is_empty(&self) -> bool {
        self.sequences + self.left_out == 0
    }

    /// Tokens of all roles together.
    pub fn total(&self) -> RoleTokens {
        let add = |sum: RoleTokens, each: &RoleTokens| RoleTokens {
            tokens: sum.tokens + each.tokens,
            learned: sum.learned + each.learned,
        };
        self.roles.values().fold(RoleTokens::default(), add)
    }

    /// Adds what was counted of other rows.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        for (role, each) in &other.roles {
            let sum = self.roles.entry(*role).or_default();
            sum.tokens += each.tokens;
            sum.learned += each.learned;
        }
        self.unlearned += other.unlearned;
        self.ended += other.ended;
        self.begun += other.begun;
        self.cut += other.cut;
        self.left_out += other.left_out;
        for (finding, count) in &other.findings {
            *self.findings.entry(*finding).or_default() += count;
        }
    }
}

/// The rows that a finding was made in.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    origins: BTreeMap<Finding, Vec<String>>,
}

/// What a row is held against.
#[derive(Debug)]
pub(crate) struct MaskChecks<'a> {
    pub(crate) encoding: &'a Encoding<'a>,
    bos: Option<u32>,
    adds_bos: bool,
    stop_ids: Vec<u32>,
}

impl<'a> MaskChecks<'a> {
    pub(crate) fn new(encoding: &'a Encoding<'a>) -> Self {
        let tokenizer = encoding.tokenizer;
        Self {
            encoding,
            bos: tokenizer.bos_id(),
            adds_bos: tokenizer.adds_bos(),
            stop_ids: tokenizer.stop_ids(),
        }
    }

    /// Counts a sample of a row that is kept, and gives what is found in it.
    fn take(
        &self,
        side: &mut SideProof,
        (sample, roles): (&Sample, &[TokenRole]),
        end_is_cut: bool,
    ) -> impl Iterator<Item = Finding> {
        side.sequences += 1;
        let mut given_learned = false;
        for place in sample.conversations() {
            let mut at = place.start;
            // Token after token is of the same role.
            for stretch in roles[place.clone()].chunk_by(|one, next| one == next) {
                let count = side.roles.entry(stretch[0]).or_default();
                let learn = &sample.learn[at..at + stretch.len()];
                // Nothing predicts the first token of a conversation.
                let first = usize::from(at == place.start && learn[0]);
                let learned = learn.iter().filter(|learn| **learn).count() - first;
                count.tokens += stretch.len();
                count.learned += learned;
                given_learned |= learned > 0 && stretch[0].is_given();
                at += stretch.len();
            }
        }
        side.unlearned += usize::from(sample.learned() == 0);
        let labelled = roles.contains(&TokenRole::Tokens);
        let is_bos = |at: usize| self.bos.is_some() && sample.ids.get(at).copied() == self.bos;
        let doubled = sample
            .conversations()
            .any(|place| place.len() > 1 && is_bos(place.start) && is_bos(place.start + 1));
        let ended = self.ends(sample);
        side.ended += usize::from(ended);
        side.begun += usize::from(is_bos(0) && !doubled);
        let needs_end = self.encoding.train_on_eos && !labelled && !end_is_cut;
        let all = [
            (Finding::DoubledBos, doubled),
            (
                Finding::MissingBos,
                self.adds_bos && !labelled && !is_bos(0),
            ),
            (Finding::UnlearnedEnd, needs_end && !ended),
            (
                Finding::GivenLearned,
                given_learned && self.encoding.train_on != TrainOn::All,
            ),
        ];
        let found = all.into_iter().filter(|(_, found)| *found);
        found.map(|(finding, _)| finding)
    }

    /// What is learned of a row that is kept, and what is found in it.
    pub(crate) fn of(&self, answers: &[EncodedAnswer], truncated: bool) -> RowProof {
        let end_is_cut = truncated && self.encoding.overlong == Overlong::TruncateRight;
        let mut proof = RowProof::default();
        for EncodedAnswer { sample, roles } in answers {
            let found = self.take(&mut proof.counts, (sample, roles), end_is_cut);
            for finding in found {
                proof.findings.push(finding);
            }
        }
        for finding in &proof.findings {
            *proof.counts.findings.entry(*finding).or_default() += 1;
        }
        proof
    }

    /// Whether the last learned token, white space left out, is one that generation stops at.
    fn ends(&self, sample: &Sample) -> bool {
        let learned = (0..sample.ids.len()).rev().filter(|at| sample.learn[*at]);
        for id in learned.map(|at| sample.ids[at]) {
            if self.stop_ids.contains(&id) {
                return true;
            }
            if !self.encoding.tokenizer.token(id).trim().is_empty() {
                return false;
            }
        }
        false
    }
}

/// What is learned of one row.
#[derive(Debug, Default)]
pub(crate) struct RowProof {
    pub(crate) counts: SideProof,
    pub(crate) findings: Vec<Finding>,
}

impl Findings {
    /// Notes what is found in a row.
    pub(crate) fn note(&mut self, findings: &[Finding], example: &Example) {
        for finding in findings {
            let origins = self.origins.entry(*finding).or_default();
            origins.push(format!("`{}`", example.origin));
        }
    }

    /// Refuses the first finding that the recipe does not accept.
    pub(crate) fn check(
        &self,
        accepted: &[Finding],
        rows: usize,
        tokenizer: &ChatTokenizer,
    ) -> Result<(), DataError> {
        let refused = self
            .origins
            .iter()
            .find(|(finding, _)| !accepted.contains(finding));
        let Some((finding, origins)) = refused else {
            return Ok(());
        };
        let named = |id: Option<u32>| id.map_or_else(String::new, |id| tokenizer.token(id));
        Err(DataError::Mask {
            finding: *finding,
            origins: origins.clone(),
            rows,
            bos: named(tokenizer.bos_id()),
            stops: tokenizer
                .stop_ids()
                .into_iter()
                .map(|id| named(Some(id)))
                .collect(),
        })
    }
}

impl MaskProof {
    pub(crate) fn of(
        encoding: &Encoding,
        sides: &Sides<SideCounts>,
        probes: Vec<Probe>,
    ) -> Result<Self, DataError> {
        let tokenizer = encoding.tokenizer;
        let [train, validation, test] = Side::ALL.map(|side| sides[side].proof());
        Ok(Self {
            train_on: encoding.train_on,
            train_on_eos: encoding.train_on_eos,
            tokenizer: tokenizer_digest(tokenizer)?,
            template: template_digest(tokenizer),
            rendered_at: tokenizer.now(),
            adds_bos: tokenizer.adds_bos(),
            train,
            validation,
            test,
            probes,
        })
    }

    /// The proof of one side.
    pub fn side(&self, side: Side) -> &SideProof {
        side.of([&self.train, &self.validation, &self.test])
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> &mut SideProof {
        side.of([&mut self.train, &mut self.validation, &mut self.test])
    }

    /// Training and held-out rows, and those of the test if there are any.
    pub fn sides(&self) -> impl Iterator<Item = (Side, &SideProof)> {
        told(|side| self.side(side), SideProof::is_empty)
    }

    /// Checks that a tokenizer makes of a row what was trained on: the same vocabulary, the same chat template, and for the
    /// rows that were kept the same ids.
    ///
    /// # Errors
    /// What is another one, and where the first difference is.
    pub fn check(&self, tokenizer: &ChatTokenizer) -> Result<(), DataError> {
        let other = |what: String| Err(DataError::MaskMismatch { what });
        if tokenizer_digest(tokenizer)? != self.tokenizer {
            return other("`tokenizer.json` is not the one that the rows were encoded with".into());
        }
        if template_digest(tokenizer) != self.template {
            return other(
                "the chat template is not the one that the rows were rendered with".into(),
            );
        }
        match self
            .probes
            .iter()
            .find_map(|probe| probe.difference(tokenizer, self.rendered_at).transpose())
        {
            None => Ok(()),
            Some(Ok(what)) => other(what),
            Some(Err(source)) => Err(DataError::Tokenizer { source }),
        }
    }
}

fn tokenizer_digest(tokenizer: &ChatTokenizer) -> Result<String, DataError> {
    let files = tokenizer.files();
    let mut files = files.iter();
    let Some(file) = files.find(|file| file.name == "tokenizer.json") else {
        let path = "tokenizer.json".into();
        return Err(DataError::Missing {
            path,
            nearest: None,
        });
    };
    Ok(sha256_bytes(&file.bytes))
}

fn template_digest(tokenizer: &ChatTokenizer) -> Option<String> {
    let source = tokenizer.template_source()?;
    Some(sha256_bytes(source.as_bytes()))
}
