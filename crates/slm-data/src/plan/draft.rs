use crate::clean::{CleanStep, Effect};
use crate::side::Side;
use crate::survey::{Facts, Noted};

/// What becomes of a row that was given to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    On(Side),
    LeftOut,
}

/// What a step did to a row, or found worth a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// The row's place among the facts.
    pub(crate) at: u32,
    pub(crate) step: CleanStep,
    pub(crate) effect: Effect,
    /// The place of the row that is why, and how similar it is.
    pub(crate) like: Option<(u32, f64)>,
}

/// What is decided so far.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) facts: Facts,
    fates: Vec<Fate>,
    notes: Vec<Note>,
}

impl Draft {
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            fates: vec![Fate::On(Side::Train); facts.len()],
            facts,
            notes: Vec::new(),
        }
    }

    /// Rows that are left.
    pub(crate) fn kept(&self) -> usize {
        let left_out = self.fates.iter().filter(|fate| **fate == Fate::LeftOut);
        self.fates.len() - left_out.count()
    }

    pub(crate) fn is_kept(&self, at: usize) -> bool {
        self.fates[at] != Fate::LeftOut
    }

    pub(crate) fn fate(&self, at: usize) -> Fate {
        self.fates[at]
    }

    /// The places of the rows that are left and not held out, in order.
    pub(crate) fn train(&self) -> impl Iterator<Item = usize> + '_ {
        let places = 0..self.fates.len();
        places.filter(|at| self.fates[*at] == Fate::On(Side::Train))
    }

    /// The places of the rows that are left, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.fates.len()).filter(|at| self.is_kept(*at))
    }

    /// Whether something is about a row that is left.
    pub(super) fn stays(&self, noted: &Noted) -> bool {
        noted.at.is_none_or(|at| self.is_kept(at))
    }

    pub(crate) fn leave_out(&mut self, at: usize, step: CleanStep, like: Option<(usize, f64)>) {
        self.fates[at] = Fate::LeftOut;
        self.note(at, step, Effect::LeftOut, like);
    }

    pub(crate) fn list(&mut self, at: usize, step: CleanStep, like: Option<(usize, f64)>) {
        self.note(at, step, Effect::Listed, like);
    }

    fn note(&mut self, at: usize, step: CleanStep, effect: Effect, like: Option<(usize, f64)>) {
        self.notes.push(Note {
            at: at as u32,
            step,
            effect,
            like: like.map(|(at, similarity)| (at as u32, similarity)),
        });
    }

    pub(crate) fn put(&mut self, at: usize, side: Side) {
        self.fates[at] = Fate::On(side);
    }

    /// Leaves a row out that no step of cleaning does.
    pub(crate) fn drop(&mut self, at: usize) {
        self.fates[at] = Fate::LeftOut;
    }

    /// Puts the notes into the order of the rows, and those of a row into that of the steps.
    pub(super) fn sort(&mut self) {
        self.notes.sort_by_key(|note| (note.at, note.step));
    }

    /// The notes of a row; `sort` was called before.
    pub(super) fn notes(&self, at: usize) -> &[Note] {
        let before = |note: &Note| (note.at as usize) < at;
        let notes = &self.notes[self.notes.partition_point(before)..];
        let end = notes.partition_point(|note| note.at as usize == at);
        &notes[..end]
    }
}
