//! What one domain consists of, and the words that all of them share.

use crate::words::{Kind, Slots};

/// One of the five domains: material for the three tasks, and for the corpus of the base model.
pub(crate) struct Domain {
    pub(crate) name: &'static str,
    /// One sentence for the card.
    pub(crate) about: &'static str,
    /// Words and rules; the rule `aside` is a remark that says nothing about the intent.
    pub(crate) slots: Slots,
    pub(crate) intents: &'static [Intent],
    pub(crate) extractions: &'static [Extraction],
    /// Notes with questions for the training split.
    pub(crate) notes: &'static [Note],
    /// Notes with questions that occur in the test only.
    pub(crate) notes_held_out: &'static [Note],
    /// Statements for the corpus of the base model.
    pub(crate) facts: &'static [&'static str],
    /// Word and explanation, for the corpus of the base model.
    pub(crate) glossary: &'static [(&'static str, &'static str)],
}

/// A label and the ways to say it; `held_out` occurs in the test only.
pub(crate) struct Intent {
    pub(crate) label: &'static str,
    pub(crate) train: &'static [&'static str],
    pub(crate) held_out: &'static [&'static str],
}

/// Fields to copy out of a text; each key is the name of a slot, in the order of the JSON object.
pub(crate) struct Extraction {
    pub(crate) keys: &'static [&'static str],
    pub(crate) train: &'static [&'static str],
    pub(crate) held_out: &'static [&'static str],
}

/// A short context, and questions with their answers: `"Who came? {person}; Is it late? no"`.
pub(crate) struct Note {
    pub(crate) context: &'static str,
    pub(crate) asks: &'static str,
}

impl Note {
    /// The questions, each with its answer.
    pub(crate) fn asks(&self) -> Vec<(&'static str, &'static str)> {
        let cut = |ask: &'static str| {
            let end = ask.find("? ").map_or(ask.len(), |mark| mark + 1);
            (&ask[..end], ask[end..].trim())
        };
        listed(self.asks).into_iter().map(cut).collect()
    }
}

/// The entries of a list that is written as one text, separated by `; `.
pub(crate) fn listed(text: &'static str) -> Vec<&'static str> {
    text.split("; ").collect()
}

/// Slots that every domain may use.
pub(crate) const COMMON: Slots = &[
    ("person", Kind::Person),
    ("date", Kind::Date),
    ("time", Kind::Time),
    (
        "town",
        Kind::Words(
            "Norhaven, Elmsgate, Port Adley, Greywick, Silverton, Lower Marsh, Oakridge, Fennimore, \
             Stonebury, Wexley, Cedar Falls, Ashmoor / Millbrae, Upper Haddon, Larkspur, Kingsferry",
        ),
    ),
    (
        "day",
        Kind::Words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    ),
    ("few", Kind::Number(2, 19)),
    (
        "hello",
        Kind::Rule("[hi|hello|hey|good morning|good afternoon|dear team|hi there]."),
    ),
    (
        "bye",
        Kind::Rule(
            "[thanks|thank you|many thanks|thanks in advance|please let me know|cheers|regards].",
        ),
    ),
    (
        "can_you",
        Kind::Rule("[can you|could you|would you|please|can someone|I need you to]"),
    ),
    (
        "i_want",
        Kind::Rule(
            "[I want to|I would like to|I'd like to|I need to|I have to|I am trying to|I was hoping to]",
        ),
    ),
    (
        "how_do_i",
        Kind::Rule(
            "[how do I|how can I|what do I do to|what is the way to|is there a way to|where do I go to]",
        ),
    ),
    (
        "tell_me",
        Kind::Rule(
            "[can you tell me|tell me|please tell me|do you know|I would like to know|I want to know|could you check]",
        ),
    ),
    (
        "ago",
        Kind::Rule(
            "[yesterday|last week|two days ago|this morning|on {day}|a week ago|last night|three days ago]",
        ),
    ),
    (
        "soon",
        Kind::Rule("[today|tomorrow|this week|next week|on {day}|soon|by {day}]"),
    ),
];
