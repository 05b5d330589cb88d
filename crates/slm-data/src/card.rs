//! What a data set is, for those who are to trust a model that learned from it.

mod croissant;
mod markdown;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use slm_recipe::{CardSection, DataSection};

pub use self::croissant::croissant;
pub use self::markdown::markdown;
use crate::clean::{CLEANING, CleanRecord};
use crate::error::DataError;
use crate::manifest::Manifest;
use crate::outline::Outline;
use crate::personal::PersonalKind;
use crate::records::each_record;
use crate::side::Side;
use crate::stats::Stats;

/// A prepared folder in figures, with what people state of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataCard {
    /// What it is called.
    pub name: String,
    /// Version of the program that counted.
    pub tool_version: String,
    /// What is stated of it; none where no recipe is known.
    pub stated: Option<Statements>,
    /// Files, splits, cleaning, labels and digests.
    pub manifest: Manifest,
    /// Lengths.
    pub stats: Stats,
    /// What cleaning found of each kind of personal data.
    pub personal: BTreeMap<PersonalKind, PersonalFound>,
}

/// What a recipe says of its rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statements {
    /// `[data.card]`.
    pub card: CardSection,
    /// The licence of each file, in the order of [`Manifest::sources`]; none where neither the file nor the whole has one.
    pub licenses: Vec<Option<String>>,
    /// The section that decided how rows were read, cleaned and split.
    pub section: DataSection,
}

/// Personal data of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PersonalFound {
    /// Rows that have some.
    pub rows: usize,
    /// Places in them.
    pub places: usize,
}

impl DataCard {
    /// The card of a prepared folder, and of the recipe that it was prepared by.
    ///
    /// # Errors
    /// When what cleaning did cannot be read.
    pub fn of(
        name: &str,
        tool_version: &str,
        folder: &Path,
        outline: &Outline,
        section: Option<&DataSection>,
    ) -> Result<Self, DataError> {
        let mut personal: BTreeMap<PersonalKind, PersonalFound> = BTreeMap::new();
        each_record(folder, CLEANING, &mut |record: CleanRecord| {
            for (kind, places) in record.personal {
                let found = personal.entry(kind).or_default();
                found.rows += 1;
                found.places += places;
            }
        })?;
        Ok(Self {
            name: name.to_owned(),
            tool_version: tool_version.to_owned(),
            stated: section.map(Statements::of),
            manifest: outline.manifest().clone(),
            stats: Stats::of(outline),
            personal,
        })
    }

    /// The licence of a file, by its place among the sources.
    fn license(&self, source: usize) -> Option<&str> {
        let licenses = &self.stated.as_ref()?.licenses;
        licenses.get(source)?.as_deref()
    }

    /// The licence of the whole: the one that is stated, or the one that all files have.
    fn whole_license(&self) -> Option<&str> {
        let stated = self.stated.as_ref()?;
        let mut all = stated.licenses.iter();
        let first = all.next().and_then(|it| it.as_deref());
        let shared = first.filter(|first| all.all(|it| it.as_deref() == Some(*first)));
        stated.card.license.as_deref().or(shared)
    }

    fn card(&self) -> CardSection {
        let stated = self.stated.as_ref();
        stated.map_or_else(CardSection::default, |it| it.card.clone())
    }

    /// How rows were held out.
    fn split(&self) -> Option<String> {
        let section = &self.stated.as_ref()?.section;
        let held_out = self.side(section, Side::Validation, section.val_size);
        let test = match section.holds_test() {
            true => format!(
                "; test: {}",
                self.side(section, Side::Test, section.test_size)
            ),
            false => String::new(),
        };
        Some(format!("Held out: {held_out}{test}"))
    }

    /// How rows came to be on a side that is not learned from.
    fn side(&self, section: &DataSection, side: Side, share: f64) -> String {
        let given = self.manifest.sources.iter();
        let given = given.filter(|source| source.given_as == side);
        match (given.count(), section.val_every, share) {
            (0, 0, 0.0) => "nothing".into(),
            (0, 0, share) => {
                let by = match &section.group_by {
                    Some(column) => format!("the column `{column}`"),
                    None => "what a row says".into(),
                };
                let near = match section.keep_near_together {
                    true => ", near-duplicates on one side",
                    false => "",
                };
                let labels = match section.stratify {
                    true => ", the same share of each label",
                    false => "",
                };
                let seed = self.manifest.seed;
                format!("a share of {share} by a hash of {by} and the seed {seed}{near}{labels}")
            }
            (0, every, _) => format!("every row whose number {every} divides"),
            _ => "files of their own".into(),
        }
    }
}

impl Statements {
    fn of(section: &DataSection) -> Self {
        let card = section.card.clone();
        let licenses = section
            .sources()
            .map(|source| source.license.clone().or(card.license.clone()));
        Self {
            licenses: licenses.collect(),
            card,
            section: section.clone(),
        }
    }
}
