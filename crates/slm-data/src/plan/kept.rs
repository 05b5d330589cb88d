use super::{Fate, Note, Plan};
use crate::clean::{
    CleanCounts, CleanRecord, CleanStep, CleanTotals, Effect, Like, PersonalTotals, Redaction,
    reasons,
};
use crate::error::DataError;
use crate::example::Example;
use crate::pass::Cleaned;
use crate::side::{Side, Sides};

/// The next rows that stay.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) rows: Sides<Vec<Example>>,
    /// What was done to these rows and to those between them that were left out, by row.
    pub(crate) records: Vec<CleanRecord>,
}

/// What was done to all rows.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) cleaning: Vec<CleanTotals>,
    pub(crate) personal: Vec<PersonalTotals>,
}

/// Carries a plan out, row by row.
struct Carrying<'a> {
    plan: &'a Plan<'a>,
    redaction: Redaction,
    counts: CleanCounts,
    /// The place of the next row among the facts.
    next: usize,
}

impl Plan<'_> {
    /// Whether any row is held out.
    pub(crate) fn holds_out(&self) -> bool {
        let mut places = 0..self.draft.facts.len();
        let is_held_out =
            |at| matches!(self.draft.fate(at), Fate::On(Side::Validation | Side::Test));
        self.given > 0 || places.any(is_held_out)
    }

    /// Gives the rows that stay, in their order, some thousands at a time.
    pub(crate) fn each_kept(
        &mut self,
        take: &mut dyn FnMut(Kept) -> Result<(), DataError>,
    ) -> Result<Summary, DataError> {
        let rows = self.kept.take();
        let mut carrying = Carrying {
            redaction: Redaction::new(&self.section.clean)?,
            counts: CleanCounts::default(),
            plan: self,
            next: 0,
        };
        match rows {
            Some(rows) => {
                for (side, rows) in rows {
                    take(carrying.kept(side, rows)?)?;
                }
            }
            None => {
                let each = &mut |side, rows| take(carrying.kept(side, rows)?);
                let intakes = self.reader.each_row(self.section, each)?;
                let read = intakes.iter().map(|intake| intake.n_rows());
                let mut known = self.sources.iter().zip(read);
                if let Some((source, _)) = known.find(|(source, read)| source.rows != *read) {
                    return Err(changed(&source.path));
                }
            }
        }
        Ok(Summary {
            cleaning: carrying.counts.totals(&self.section.clean),
            personal: carrying.redaction.totals(),
        })
    }

    fn record(&self, row: &Example, note: &Note) -> CleanRecord {
        let facts = &self.draft.facts;
        let like = note.like.map(|(at, similarity)| Like {
            row: facts.row(at as usize),
            origin: facts.origin(at as usize).to_string(),
            similarity,
        });
        let record = match note.effect {
            Effect::LeftOut => CleanRecord::left_out(row, note.step, like),
            Effect::Changed | Effect::Listed => CleanRecord::listed(row, note.step, like),
        };
        let reasons = match (note.step, &self.lengths, &self.per_label) {
            (CleanStep::Outlier, Some(lengths), _) => {
                reasons(&self.section.clean.outliers, *lengths, row)
            }
            (CleanStep::Balance, _, Some(per_label)) => vec![per_label.told(row)],
            _ => Vec::new(),
        };
        CleanRecord { reasons, ..record }
    }
}

impl Carrying<'_> {
    fn kept(&mut self, side: Side, rows: Vec<Cleaned>) -> Result<Kept, DataError> {
        let (mut kept, mut sides) = (Kept::default(), Vec::new());
        let mut stay = Vec::with_capacity(rows.len());
        for row in rows {
            let Cleaned {
                example,
                records,
                fits,
            } = row;
            kept.records.extend(records);
            if !fits {
                continue;
            }
            let fate = match side {
                Side::Train => self.fate(&example, &mut kept.records)?,
                given => Fate::On(given),
            };
            if let Fate::On(side) = fate {
                sides.push(side);
                stay.push(example);
            }
        }
        kept.records.extend(self.redaction.take(&mut stay));
        // By row, and of one row in the order of the steps, of which this is the last.
        kept.records.sort_by_key(|record| record.row);
        self.counts.take(&kept.records);
        for (row, side) in stay.into_iter().zip(sides) {
            kept.rows[side].push(row);
        }
        Ok(kept)
    }

    /// What becomes of the next row that was given to learn from.
    fn fate(&mut self, row: &Example, records: &mut Vec<CleanRecord>) -> Result<Fate, DataError> {
        let at = self.next;
        let draft = &self.plan.draft;
        if at >= draft.facts.len() || draft.facts.row(at) != row.row {
            return Err(changed(&row.origin.path));
        }
        self.next += 1;
        let notes = draft.notes(at).iter();
        records.extend(notes.map(|note| self.plan.record(row, note)));
        Ok(draft.fate(at))
    }
}

fn changed(path: &str) -> DataError {
    DataError::ChangedWhileRead { path: path.into() }
}
