//! `[data.clean]`: what is done to rows before they are split, each change and each row left out told in a report.

mod balance;
mod languages;
mod outliers;
mod personal;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::balance::BalanceSection;
pub use self::languages::{LANGUAGES, language_code};
pub use self::outliers::{OutlierAction, OutlierSection};
pub use self::personal::PersonalSection;

/// What is done to rows before they are split. Nothing by default: conflicts are listed, and no row changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CleanSection {
    /// Normalisation of every text.
    pub unicode: Unicode,
    /// Whether tags, comments, scripts and styles are taken out of texts, and entities become characters.
    pub strip_html: bool,
    /// Whether lines that nobody wrote for the reader are taken out of texts of several lines: cookie notices, links to share,
    /// navigation, footers, and what mail programs put below a letter.
    pub strip_boilerplate: bool,
    /// What becomes of personal data in texts: addresses, numbers and keys.
    pub pii: Pii,
    /// What else is personal data, and the key of pseudonyms.
    pub personal: PersonalSection,
    /// Rows whose texts have fewer characters together are left out, 0 = none.
    pub min_chars: usize,
    /// Rows whose texts have more characters together are left out, 0 = none.
    pub max_chars: usize,
    /// If not empty, rows whose texts are told to be in another language are left out: codes of ISO 639-1 or 639-3. Rows with too
    /// few letters to tell stay.
    pub languages: Vec<String>,
    /// How sure it has to be that they are, from 0 to 1; less sure ones stay.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub min_language_confidence: f64,
    /// Which rows to learn from are left out because another says the same.
    pub dedup: Dedup,
    /// Jaccard similarity of their shingles from which two rows are near-duplicates.
    #[schemars(extend("minimum" = 0.5, "maximum" = 1))]
    pub dedup_threshold: f64,
    /// What shingles are made of.
    pub shingle: Shingle,
    /// Characters or words of a shingle.
    #[schemars(extend("minimum" = 1))]
    pub shingle_size: usize,
    /// What becomes of rows to learn from that give different answers to the same prompt.
    pub conflicts: Conflicts,
    /// Rows to learn from that are unlike the others, or unlike what people write.
    pub outliers: OutlierSection,
    /// How many rows to learn from a label may have.
    pub balance: BalanceSection,
}

impl Default for CleanSection {
    fn default() -> Self {
        Self {
            unicode: Unicode::Off,
            strip_html: false,
            strip_boilerplate: false,
            pii: Pii::Off,
            personal: PersonalSection::default(),
            min_chars: 0,
            max_chars: 0,
            languages: Vec::new(),
            min_language_confidence: 0.9,
            dedup: Dedup::Off,
            dedup_threshold: 0.85,
            shingle: Shingle::Chars,
            shingle_size: 5,
            conflicts: Conflicts::Report,
            outliers: OutlierSection::default(),
            balance: BalanceSection::default(),
        }
    }
}

/// Normalisation of texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unicode {
    /// Texts stay as they are.
    #[default]
    Off,
    /// Canonical composition (Unicode Standard Annex 15).
    Nfc,
}

/// What becomes of personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pii {
    /// It is not looked for.
    #[default]
    Off,
    /// Rows that have some are listed.
    Report,
    /// A placeholder stands for it, such as `<EMAIL_1>`: the same one for the same value in all rows of a run.
    Redact,
    /// A pseudonym stands for it, which a keyed hash makes: the same one for the same value in all runs with the same key.
    Pseudonymise,
    /// The run stops and names the rows.
    Error,
}

/// Which rows are left out because another says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dedup {
    /// None.
    #[default]
    Off,
    /// Those that are equal to another.
    Exact,
    /// Those as well that are nearly equal to another: found by `MinHash`, checked against the exact similarity.
    Minhash,
}

/// What shingles are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shingle {
    /// Characters: for any language.
    #[default]
    Chars,
    /// Words, which blanks part.
    Words,
}

/// What becomes of rows that give different answers to the same prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conflicts {
    /// They are not looked for.
    Off,
    /// They are listed.
    #[default]
    Report,
    /// All of them are left out.
    Drop,
    /// The run stops and names them.
    Error,
}
