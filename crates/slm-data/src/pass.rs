//! One pass over all rows of a recipe. There are several where rows do not fit into memory: nothing but a few thousand rows, and what
//! is known of the others, is held.

use rayon::prelude::*;
use slm_recipe::{DataSection, Source};

use crate::clean::{CleanRecord, Languages, misfit, texts};
use crate::error::DataError;
use crate::example::Example;
use crate::intake::{Given, Intake};
use crate::reading::Reader;
use crate::side::Side;
use crate::source::{SourceFiles, size_bytes};

/// A row behind the steps that look at it alone.
#[derive(Clone, Debug)]
pub(crate) struct Cleaned {
    pub(crate) example: Example,
    /// What those steps did.
    pub(crate) records: Vec<CleanRecord>,
    /// Whether it stays.
    pub(crate) fits: bool,
}

/// What takes rows as they come, with what their file was given as.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Side, Vec<Cleaned>) -> Result<(), DataError>;

impl<'a> Reader<'a> {
    /// Whether all rows may fit into memory, by the sizes of their files. Rows that are given up half-way would leave their memory in
    /// pieces.
    pub(crate) fn may_keep(self, section: &DataSection) -> bool {
        // Packed files hold more than their sizes say, others also what is not read of them.
        let most = 2 * self.budget.kept_bytes as u64;
        let of_all = sources(section).filter(|(source, _)| source.max_samples == 0);
        // What is wrong with a source is told when it is read.
        let files = of_all.filter_map(|(source, _)| SourceFiles::of(&source.path).ok());
        let sizes = files
            .flat_map(|files| files.0)
            .map(|path| size_bytes(&path));
        sizes.flatten().sum::<u64>() <= most
    }

    /// Reads the rows of all sources in their order, those to learn from first; gives the sources as they were read.
    pub(crate) fn each_row(
        self,
        section: &'a DataSection,
        take: Take<'_>,
    ) -> Result<Vec<Intake<'a>>, DataError> {
        let languages = Languages::of(&section.clean);
        let (mut intakes, mut first_row) = (Vec::new(), 0);
        for (source, side) in sources(section) {
            let group_by = section.group_by.as_deref();
            let mut intake = Intake::begin(
                self,
                Given {
                    source,
                    side,
                    group_by: group_by.filter(|_| side == Side::Train),
                    first_row,
                },
            )?;
            while let Some(rows) = intake.next()? {
                let clean = |row| Cleaned::of(row, section, languages.as_ref());
                take(side, rows.into_par_iter().map(clean).collect())?;
            }
            first_row += intake.n_rows();
            intakes.push(intake);
        }
        Ok(intakes)
    }
}

/// The sources of a recipe, those to learn from first.
fn sources(section: &DataSection) -> impl Iterator<Item = (&Source, Side)> {
    let train = section.train.iter().map(|source| (source, Side::Train));
    let validation = section.validation.iter();
    let validation = validation.map(|source| (source, Side::Validation));
    let test = section.test.iter().map(|source| (source, Side::Test));
    train.chain(validation).chain(test)
}

impl Cleaned {
    fn of(mut example: Example, section: &DataSection, languages: Option<&Languages>) -> Self {
        let mut records = texts(&section.clean, &mut example);
        let other_language = || languages?.left_out(&example);
        let left_out = misfit(&section.clean, &example).or_else(other_language);
        let fits = left_out.is_none();
        records.extend(left_out);
        Self {
            example,
            records,
            fits,
        }
    }
}
