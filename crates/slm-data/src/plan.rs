//! Which rows stay, and on which side: decided from what a first pass over them found out, before any is encoded.

mod draft;
mod kept;

use slm_recipe::{CleanSection, DataSection, Pii};

pub(crate) use self::draft::{Draft, Fate, Note};
pub(crate) use self::kept::Summary;
use crate::clean::{Lengths, PerLabel, balance, conflicts, equal_ones, near_ones, outliers};
use crate::error::{DataError, nearest};
use crate::intake::SkippedRow;
use crate::leak::{Guarded, Leaks, Search};
use crate::manifest::SourceRecord;
use crate::near::{Candidates, Nearness};
use crate::pass::Cleaned;
use crate::reading::Reader;
use crate::side::Side;
use crate::split::Split;
use crate::survey::{Bands, Noted, Survey};

/// What becomes of every row.
pub(crate) struct Plan<'a> {
    reader: Reader<'a>,
    section: &'a DataSection,
    pub(crate) sources: Vec<SourceRecord>,
    /// Bad rows that were left out.
    pub(crate) skipped: Vec<SkippedRow>,
    /// Rows of tasks among those to learn from, before any was left out.
    pub(crate) leaks: Leaks,
    /// Rows to learn from that were left out for them.
    pub(crate) leaked_out: usize,
    /// Rows that stay.
    pub(crate) rows: usize,
    /// Rows of files that were given to be held out, which stay.
    given: usize,
    draft: Draft,
    /// What is usual, for rows that are not.
    lengths: Option<Lengths>,
    per_label: Option<PerLabel>,
    /// The rows, if they fit into memory.
    kept: Option<Vec<(Side, Vec<Cleaned>)>>,
}

impl<'a> Reader<'a> {
    /// Reads the sources of a section and decides what becomes of their rows; `told` is the number of rows that are read.
    pub(crate) fn plan(
        self,
        section: &'a DataSection,
        guarded: &[Guarded],
        told: &mut dyn FnMut(usize),
    ) -> Result<Plan<'a>, DataError> {
        let searches = Search::all(&self, section, guarded)?;
        let survey = Survey::of(&self, section, &searches, told)?;
        self.decide(section, searches, survey)
    }

    fn decide(
        self,
        section: &'a DataSection,
        searches: Vec<Search>,
        survey: Survey,
    ) -> Result<Plan<'a>, DataError> {
        let split = Split::new(section, self.seed);
        let clean = &section.clean;
        let mut draft = Draft::new(survey.facts);
        let lengths = outliers(&clean.outliers, &mut draft);
        equal_ones(survey.equal, &mut draft)?;
        let rows = survey.rows.as_deref();
        let candidates = self.candidates(section, rows, survey.bands, &draft)?;
        near_ones(clean, candidates.as_ref(), &mut draft)?;
        conflicts(clean.conflicts, survey.answers, &mut draft)?;
        split.decide(survey.units, candidates.as_ref(), &mut draft)?;
        check_labels(section, survey.unknown_labels, survey.given, &draft)?;
        let leaks = Leaks::find(searches, survey.met, &draft);
        let leaked_out = leaks.act(section, &mut draft)?;
        let per_label = balance(&clean.balance, &mut draft);
        let rows = draft.kept() + survey.given;
        check_personal(clean, survey.personal, rows, &draft)?;
        draft.sort();
        Ok(Plan {
            reader: self,
            section,
            sources: survey.sources,
            skipped: survey.skipped,
            leaks,
            leaked_out,
            rows,
            given: survey.given,
            draft,
            lengths,
            per_label,
            kept: survey.rows,
        })
    }

    /// Takes a closer look at rows that may be near to another, where any step asks for it.
    fn candidates(
        &self,
        section: &DataSection,
        rows: Option<&[(Side, Vec<Cleaned>)]>,
        bands: Bands,
        draft: &Draft,
    ) -> Result<Option<Candidates>, DataError> {
        let mut candidates =
            Candidates::of(bands, draft, Nearness::of(&section.clean), &self.scratch())?;
        if candidates.is_empty() {
            return Ok(None);
        }
        match rows {
            Some(rows) => {
                let mut train = rows.iter().filter(|(side, _)| *side == Side::Train);
                train.try_for_each(|(_, rows)| candidates.look(rows, draft))?;
            }
            None => {
                let look = &mut |side, rows: Vec<Cleaned>| match side {
                    Side::Train => candidates.look(&rows, draft),
                    Side::Validation | Side::Test => Ok(()),
                };
                self.each_row(section, look)?;
            }
        }
        Ok(Some(candidates))
    }
}

fn check_labels(
    section: &DataSection,
    unknown: Vec<Noted>,
    given: usize,
    draft: &Draft,
) -> Result<(), DataError> {
    let unknown: Vec<Noted> = unknown.into_iter().filter(|it| draft.stays(it)).collect();
    let Some(first) = unknown.first() else {
        return Ok(());
    };
    let label = first.told.clone();
    let nearest = nearest(&label, section.labels.iter().map(String::as_str));
    Err(DataError::UnknownLabel {
        rows: draft.kept() + given,
        nearest: nearest.map(|nearest| (label, nearest)),
        origins: unknown
            .iter()
            .map(|it| format!("`{}` (`{}`)", it.origin, it.told))
            .collect(),
    })
}

/// Names the rows that have personal data, where the recipe says that none may.
fn check_personal(
    section: &CleanSection,
    found: Vec<Noted>,
    rows: usize,
    draft: &Draft,
) -> Result<(), DataError> {
    let found: Vec<Noted> = found.into_iter().filter(|it| draft.stays(it)).collect();
    if section.pii != Pii::Error || found.is_empty() {
        return Ok(());
    }
    let origins = found.iter();
    let origins = origins.map(|it| format!("`{}` ({})", it.origin, it.told));
    Err(DataError::Personal {
        origins: origins.collect(),
        rows,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slm_recipe::{Conflicts, Dedup, Source, Unicode};

    use super::*;
    use crate::clean::CleanRecord;
    use crate::example::Example;
    use crate::reading::Budget;
    use crate::side::Sides;

    impl Plan<'_> {
        /// Which rows are held out; rows that are left out are none of them.
        pub(crate) fn held_out(section: &DataSection, seed: u64, rows: Vec<Example>) -> Vec<bool> {
            let reader = Reader::of(section, None, seed);
            let survey = Survey::of_rows(&reader, section, rows).unwrap();
            let plan = reader.decide(section, Vec::new(), survey).unwrap();
            let places = 0..plan.draft.facts.len();
            places
                .map(|at| plan.draft.fate(at) == Fate::On(Side::Validation))
                .collect()
        }
    }

    /// Everything that is done to rows.
    fn section(path: &str) -> DataSection {
        let source = Source {
            path: path.into(),
            ..Source::default()
        };
        let mut section = DataSection {
            train: vec![source],
            val_size: 0.3,
            test_size: 0.2,
            keep_near_together: true,
            stratify: true,
            ..DataSection::default()
        };
        section.clean = CleanSection {
            unicode: Unicode::Nfc,
            strip_html: true,
            pii: Pii::Redact,
            max_chars: 90,
            dedup: Dedup::Minhash,
            conflicts: Conflicts::Report,
            ..CleanSection::default()
        };
        section.clean.outliers.action = slm_recipe::OutlierAction::Report;
        section.clean.balance.max_per_label = 12;
        section
    }

    type Carried = (Sides<Vec<Example>>, Vec<CleanRecord>);

    fn carried(section: &DataSection, budget: Budget) -> Result<Carried, String> {
        let folder = tempfile::tempdir().unwrap();
        let reader = Reader {
            budget,
            scratch: Some(folder.path()),
            ..Reader::of(section, None, 7)
        };
        let mut plan = reader
            .plan(section, &[], &mut |_| {})
            .map_err(|error| error.to_string())?;
        let (mut rows, mut records) = (Sides::<Vec<Example>>::default(), Vec::new());
        let carried = plan.each_kept(&mut |kept| {
            for (side, kept) in kept.rows.into_each() {
                rows[side].extend(kept);
            }
            records.extend(kept.records);
            Ok(())
        });
        carried.map_err(|error| error.to_string())?;
        Ok((rows, records))
    }

    /// Rows of few words, so that many are equal, near or contradict each other.
    fn rows() -> impl Strategy<Value = Vec<(Vec<usize>, usize)>> {
        proptest::collection::vec(
            (proptest::collection::vec(0..6_usize, 6..14), 0..3_usize),
            30..90,
        )
    }

    fn line((words, label): &(Vec<usize>, usize)) -> String {
        const WORDS: [&str; 6] = [
            "card",
            "<b>late</b>",
            "mail a@example.com",
            "cafe\u{301}",
            "where",
            "is it",
        ];
        let text: Vec<&str> = words.iter().map(|word| WORDS[*word]).collect();
        let label = ["lost", "found", "other"][*label];
        let row = serde_json::json!({"prompt": text.join(" "), "completion": label});
        format!("{row}\n")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_held_in_memory_changes_nothing(rows in rows()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.jsonl");
            fs_err::write(&path, rows.iter().map(line).collect::<String>()).unwrap();
            let size_bytes = fs_err::metadata(&path).unwrap().len();
            let section = section(path.to_str().unwrap());
            let all = carried(&section, Budget::default());
            let again = carried(&section, Budget { kept_bytes: 0, ..Budget::default() });
            let least = carried(&section, Budget { kept_bytes: 1, held_bytes: 30 });
            prop_assert_eq!(&all, &again);
            prop_assert_eq!(&all, &least);
            let half = size_bytes / 2 + 1;
            let given_up = carried(&section, Budget { kept_bytes: half as usize, ..Budget::default() });
            prop_assert_eq!(&all, &given_up);
            if let Ok((sides, records)) = all {
                let left_out = records.iter().filter(|it| it.effect == crate::clean::Effect::LeftOut);
                let kept: usize = sides.into_each().map(|(_, rows)| rows.len()).sum();
                prop_assert_eq!(kept + left_out.count(), rows.len());
            }
        }
    }
}
