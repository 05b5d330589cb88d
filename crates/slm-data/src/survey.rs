//! What a first pass over the rows finds out, for it to be decided which of them stay, and on which side.

mod facts;
mod row;

use rayon::prelude::*;
use slm_recipe::DataSection;

pub(crate) use self::facts::Facts;
use self::row::{Asked, RowFacts};
use crate::content::Content;
use crate::error::DataError;
use crate::intake::{Intake, SkippedRow};
use crate::leak::{Met, Search};
use crate::manifest::SourceRecord;
use crate::origin::Origin;
use crate::pass::Cleaned;
use crate::reading::Reader;
use crate::side::Side;
use crate::spill::Spill;

/// What a row takes up beside its texts, about.
const ROW_BYTES: usize = 256;

/// Keys of rows with their places, to find those whose keys are equal: of what they say, and of what keeps them together.
pub(crate) type Equal = Spill<20>;
/// The same with a hash of what they answer.
pub(crate) type Answers = Spill<28>;
/// The same of bands of signatures.
pub(crate) type Bands = Spill<12>;

/// What is known of all rows.
pub(crate) struct Survey {
    pub(crate) sources: Vec<SourceRecord>,
    pub(crate) skipped: Vec<SkippedRow>,
    /// Of the rows that were given to learn from and fit.
    pub(crate) facts: Facts,
    /// Rows of files to hold out that fit.
    pub(crate) given: usize,
    pub(crate) equal: Equal,
    pub(crate) answers: Answers,
    pub(crate) units: Equal,
    pub(crate) bands: Bands,
    /// For each search, the rows that have something of its items.
    pub(crate) met: Vec<Vec<(usize, Met)>>,
    /// Rows with labels that the recipe does not name.
    pub(crate) unknown_labels: Vec<Noted>,
    /// Rows with personal data, where it stops the run.
    pub(crate) personal: Vec<Noted>,
    /// The rows themselves, if they fit into memory.
    pub(crate) rows: Option<Vec<(Side, Vec<Cleaned>)>>,
    size_bytes: usize,
}

/// Something about a row, for people.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Its place among the facts; none of a row that was given to be held out.
    pub(crate) at: Option<usize>,
    pub(crate) origin: Origin,
    pub(crate) told: String,
}

impl Survey {
    pub(crate) fn of(
        reader: &Reader<'_>,
        section: &DataSection,
        searches: &[Search],
        told: &mut dyn FnMut(usize),
    ) -> Result<Self, DataError> {
        let asked = Asked::by(section, reader.seed, searches)?;
        let mut survey = Self::begin(reader, searches.len());
        if !reader.may_keep(section) {
            survey.rows = None;
        }
        let mut read = 0;
        let intakes = reader.each_row(section, &mut |side, rows| {
            read += rows.len();
            told(read);
            survey.take(&asked, side, rows)
        })?;
        for intake in intakes {
            let (record, skipped) = Intake::record(intake)?;
            survey.sources.push(record);
            survey.skipped.extend(skipped);
        }
        Ok(survey)
    }

    /// Of rows that are there already, to learn from.
    #[cfg(test)]
    pub(crate) fn of_rows(
        reader: &Reader<'_>,
        section: &DataSection,
        rows: Vec<crate::example::Example>,
    ) -> Result<Self, DataError> {
        let asked = Asked::by(section, reader.seed, &[])?;
        let mut survey = Self::begin(reader, 0);
        let fitting = |example| Cleaned {
            example,
            records: Vec::new(),
            fits: true,
        };
        survey.take(&asked, Side::Train, rows.into_iter().map(fitting).collect())?;
        Ok(survey)
    }

    fn begin(reader: &Reader<'_>, searches: usize) -> Self {
        let scratch = &reader.scratch();
        Self {
            sources: Vec::new(),
            skipped: Vec::new(),
            facts: Facts::default(),
            given: 0,
            equal: Equal::new(scratch),
            answers: Answers::new(scratch),
            units: Equal::new(scratch),
            bands: Bands::new(scratch),
            met: (0..searches).map(|_| Vec::new()).collect(),
            unknown_labels: Vec::new(),
            personal: Vec::new(),
            rows: Some(Vec::new()),
            size_bytes: reader.budget.kept_bytes,
        }
    }

    fn take(&mut self, asked: &Asked, side: Side, rows: Vec<Cleaned>) -> Result<(), DataError> {
        match side {
            Side::Train => {
                let fitting = |row: &Cleaned| row.fits.then(|| asked.facts(&row.example));
                let facts: Vec<Option<RowFacts>> = rows.par_iter().map(fitting).collect();
                for (row, facts) in rows.iter().zip(facts) {
                    if let Some(facts) = facts {
                        self.add(asked, row, facts)?;
                    }
                }
            }
            Side::Validation | Side::Test => {
                let personal = |row: &Cleaned| row.fits.then(|| asked.personal(&row.example));
                let personal: Vec<Option<String>> =
                    rows.par_iter().map(|row| personal(row).flatten()).collect();
                for (row, personal) in rows.iter().zip(personal).filter(|(row, _)| row.fits) {
                    self.given += 1;
                    self.note(asked, row, None, personal);
                }
            }
        }
        self.keep(side, rows);
        Ok(())
    }

    /// Adds a row to learn from.
    fn add(&mut self, asked: &Asked, row: &Cleaned, its: RowFacts) -> Result<(), DataError> {
        let at = self.facts.len();
        let place = (at as u32).to_be_bytes();
        self.facts.push(row.example.row, &row.example.origin);
        if asked.lengths {
            self.facts.chars.push(its.chars);
        }
        if asked.odd {
            self.facts.odd.push(its.odd);
        }
        if asked.equal || asked.balance {
            self.facts.ties.push(its.tie);
        }
        if asked.equal {
            self.equal.push(joined(&its.said, &place))?;
        }
        if asked.balance {
            self.facts.orders.push(its.order);
        }
        if asked.labels {
            self.facts.push_label(row.example.content.target().trim());
        }
        if let Some((prompt, answer)) = its.asked {
            let behind: [u8; 12] = joined(&place, &answer.to_be_bytes());
            self.answers.push(joined(&prompt.to_be_bytes(), &behind))?;
        }
        match asked.split.is_by_unit() {
            true => {
                self.facts.decided_by.push(its.place);
                self.units.push(joined(&its.unit, &place))?;
            }
            false => self.facts.sides.push(its.side),
        }
        for band in its.bands {
            self.bands.push(joined(&band.to_be_bytes(), &place))?;
        }
        for (met, of_search) in its.met.into_iter().zip(&mut self.met) {
            if !met.is_empty() {
                of_search.push((at, met));
            }
        }
        self.note(asked, row, Some(at), its.refused);
        Ok(())
    }

    fn note(&mut self, asked: &Asked, row: &Cleaned, at: Option<usize>, personal: Option<String>) {
        let example = &row.example;
        let noted = |told| Noted {
            at,
            origin: example.origin.clone(),
            told,
        };
        self.personal.extend(personal.map(noted));
        if asked.is_unknown(example) {
            let label = example.content.target().trim();
            self.unknown_labels.push(noted(label.to_owned()));
        }
    }

    /// Keeps the rows as long as there is room for all.
    fn keep(&mut self, side: Side, rows: Vec<Cleaned>) {
        if let Some(kept) = &mut self.rows {
            let size_bytes = |row: &Cleaned| ROW_BYTES + row.example.content.size_bytes();
            let added: usize = rows.par_iter().map(size_bytes).sum();
            match self.size_bytes.checked_sub(added) {
                Some(left) => {
                    self.size_bytes = left;
                    kept.push((side, rows));
                }
                None => self.rows = None,
            }
        }
    }
}

/// The bytes of both.
fn joined<const N: usize>(key: &[u8], rest: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    all[..key.len()].copy_from_slice(key);
    all[key.len()..].copy_from_slice(rest);
    all
}

/// The place of a row in a record of [`Equal`], [`Answers`] or [`Bands`] behind its key.
pub(crate) fn place_in(record: &[u8], key: usize) -> usize {
    let mut place = [0; 4];
    place.copy_from_slice(&record[key..key + 4]);
    u32::from_be_bytes(place) as usize
}

impl Content {
    /// Bytes that it takes up, about.
    fn size_bytes(&self) -> usize {
        match self {
            Self::Tokens(row) => 5 * row.ids.len(),
            Self::Preference { chosen, rejected } => {
                chosen.content.size_bytes() + rejected.content.size_bytes()
            }
            Self::Rated { answer, .. } => answer.content.size_bytes(),
            // Fields beside the texts of messages, such as calls of tools, are counted as if there were half as much of them.
            _ => self.texts().iter().map(|text| text.len() * 3 / 2).sum(),
        }
    }
}
