use std::fmt::{self, Write};

use serde_json::Value;
use slm_recipe::{Finding, TrainOn};

use crate::leak::whose;
use crate::origin::Origin;
use crate::source::{ObjectError, lists};

/// How many rows an error names before it only counts.
const NAMED_ROWS: usize = 5;

/// What keeps rows from becoming shards, or shards from being read.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum DataError {
    #[error("data file `{path}` does not exist")]
    Missing {
        path: String,
        nearest: Option<String>,
    },
    #[error("data file `{path}` is a folder, a file was needed")]
    Folder { path: String },
    #[error(transparent)]
    Io { source: std::io::Error },
    #[error(
        "`{path}` has the parts of {}, those of one number of workers were needed",
        worker_numbers(of)
    )]
    NoParts { path: String, of: Vec<usize> },
    #[error("`{path}` has no part {}", missing.join(", "))]
    MissingParts {
        path: String,
        missing: Vec<String>,
        of: usize,
    },
    #[error(
        "`{path}` was prepared from other rows, by another tokenizer or with other keys than the recipe has now"
    )]
    OtherPart { path: String },
    #[error("data file `{path}` changed while it was read")]
    ChangedWhileRead { path: String },
    #[error("data file `{path}` has the unknown type `.{extension}`")]
    UnknownKind { path: String, extension: String },
    #[error("data file `{path}` is compressed (`.{extension}`), a plain file was needed")]
    Compressed {
        path: String,
        extension: String,
        command: &'static str,
    },
    #[error(
        "data file `{path}` is compressed by `{codec}`, `none`, `snappy` or `zstd` was needed for Parquet and `none` for Arrow"
    )]
    Codec { path: String, codec: String },
    #[error("data file `{path}` cannot be unpacked: {reason}")]
    Unpack { path: String, reason: String },
    #[error("data file `{path}` unpacks to more than it may: {reason}")]
    Bomb { path: String, reason: String },
    #[error("`{path}` is no pattern of files: {reason}")]
    Pattern { path: String, reason: String },
    #[error(transparent)]
    Object { source: ObjectError },
    #[error("`{path}` names no file")]
    NoFiles { path: String },
    #[error("`{path}` never ends: `{link}` leads back to `{target}`")]
    LinkLoop {
        path: String,
        link: String,
        target: String,
    },
    #[error("`{path}` has {found} rows, and `{first}` of the same source has {needed} rows")]
    MixedFormats {
        path: String,
        found: String,
        first: String,
        needed: String,
    },
    #[error("`{origin}` begins a row of more than 64 MiB")]
    LongRow { origin: Origin },
    #[error("`{origin}` has a NUL byte at column {column}")]
    Nul { origin: Origin, column: usize },
    #[error("data file `{path}` has no rows")]
    Empty { path: String },
    #[error("`{origin}` is not valid UTF-8: found byte 0x{byte:02x} at column {column}")]
    Utf8 {
        origin: Origin,
        column: usize,
        byte: u8,
        utf16: bool,
    },
    #[error("`{origin}` is not valid JSON: {reason} at column {column}")]
    Json {
        origin: Origin,
        column: usize,
        reason: String,
    },
    #[error("`{origin}` is not valid JSON: {reason} at column {column}")]
    Structure {
        origin: Origin,
        column: usize,
        reason: String,
    },
    #[error("`{origin}` holds {found}, an object with the columns of a row was needed")]
    NotAnObject { origin: Origin, found: &'static str },
    #[error(
        "`{origin}` begins one object over several lines, a list of rows or one row per line was needed"
    )]
    OneObject {
        origin: Origin,
        list: Option<String>,
    },
    #[error("`{origin}` is not valid CSV: {reason}")]
    Csv { origin: Origin, reason: String },
    #[error("data file `{path}` is not a readable {kind} file: {reason}")]
    Table {
        path: String,
        kind: &'static str,
        reason: String,
    },
    #[error(
        "`{origin}` has no column `{column}`, needed by {needed_by}; found {}",
        list(found)
    )]
    MissingColumn {
        origin: Origin,
        column: String,
        needed_by: NeededBy,
        found: Vec<String>,
    },
    #[error("`{origin}`: column `{column}` holds {found}, {needed} was needed")]
    WrongValue {
        origin: Origin,
        column: String,
        found: String,
        needed: String,
    },
    #[error(
        "`{path}` has rows of no known format; found {}; needed `messages`, `conversations`, \
         `instruction` and `output`, `prompt` and `completion`, `text`, or `input_ids` and `labels`",
        list(found)
    )]
    UnknownFormat { path: String, found: Vec<String> },
    #[error("`columns` of `{path}` renames `{name}`, which no format has")]
    UnknownColumnName {
        path: String,
        name: String,
        nearest: Option<String>,
    },
    #[error("template `{template}` is broken: {reason}")]
    Template { template: String, reason: String },
    #[error("`{expression}` is no expression: {reason}")]
    BrokenExpression { expression: String, reason: String },
    #[error("`{origin}`: `{expression}` gives nothing: {reason}")]
    Expression {
        origin: Origin,
        expression: String,
        reason: String,
    },
    #[error("`{path}` has no names of the labels in `{column}`")]
    LabelNames { path: String, column: String },
    #[error("`system` of `{path}` has no place in {format} rows")]
    SystemWithoutMessages { path: String, format: &'static str },
    #[error("`{path}` has conversations, but the tokenizer has no chat template")]
    NoChatTemplate { path: String },
    #[error(
        "`{path}` has rows that are tokens already, and there is no tokenizer that they could be tokens of"
    )]
    NoTokenizer { path: String },
    #[error("failed to encode `{origin}`")]
    Encode {
        origin: Origin,
        #[source]
        source: slm_text::TextError,
    },
    #[error("{} nothing to learn: {}", count(origins.len(), *rows, "has", "have"), some(origins))]
    NothingLearned {
        origins: Vec<String>,
        rows: usize,
        train_on: TrainOn,
        /// Whether `labels` say what is learned, and not `train_on`.
        labelled: bool,
    },
    #[error("{} longer than `max_length` {max_length}: {}", count(origins.len(), *rows, "is", "are"), some(origins))]
    TooLong {
        origins: Vec<String>,
        rows: usize,
        max_length: usize,
        longest: usize,
    },
    #[error("{} a label outside `data.labels`: {}", count(origins.len(), *rows, "has", "have"), some(origins))]
    UnknownLabel {
        origins: Vec<String>,
        rows: usize,
        nearest: Option<(String, String)>,
    },
    #[error(
        "{leaked} of {rows} rows of {} are among the rows to learn from, `data.max_leak_rate` {allowed} lets {} pass: {}",
        whose(task), (*rows as f64 * allowed).floor(), some(found)
    )]
    Leak {
        task: String,
        rows: usize,
        leaked: usize,
        allowed: f64,
        found: Vec<String>,
    },
    #[error(
        "`data.stratify` needs labels, and {distinct} of {rows} rows have an answer of their own"
    )]
    NoLabels { distinct: usize, rows: usize },
    #[error("{} personal data: {}", count(origins.len(), *rows, "has", "have"), some(origins))]
    Personal { origins: Vec<String>, rows: usize },
    #[error("{place} holds {found} bytes, a key of at least {needed} was needed for pseudonyms")]
    PseudonymKey {
        place: String,
        found: usize,
        needed: usize,
    },
    #[error("`{path}` has no names or addresses, one a line was needed")]
    Words { path: String },
    #[error("{} another answer to a prompt than another row: {}", count(origins.len(), *rows, "gives", "give"), some(origins))]
    Conflicts { origins: Vec<String>, rows: usize },
    #[error("{} {}: {}", count(origins.len(), *rows, found(*finding).0, found(*finding).1), found(*finding).2, some(origins))]
    Mask {
        finding: Finding,
        origins: Vec<String>,
        rows: usize,
        /// The tokenizer's BOS.
        bos: String,
        /// The tokens that generation stops at.
        stops: Vec<String>,
    },
    #[error("{what}")]
    MaskMismatch { what: String },
    #[error("no rows are left to learn from: {rows} read, {held_out} held out, {dropped} dropped")]
    NoTrainingRows {
        rows: usize,
        held_out: usize,
        dropped: usize,
    },
    #[error("data in `{path}` is not usable: {reason}")]
    Shards { path: String, reason: String },
    #[error("`{path}` knows nothing of {wanted}")]
    NoSuchRow {
        path: String,
        wanted: String,
        /// Rows that were read.
        rows: usize,
    },
    #[error("failed to read the tokenizer")]
    Tokenizer {
        #[source]
        source: slm_text::TextError,
    },
    #[error("failed to write the data")]
    Write {
        #[source]
        source: slm_run::RunError,
    },
}

/// What a finding says of one row, of several, and the rest of the sentence.
fn found(finding: Finding) -> (&'static str, &'static str, &'static str) {
    match finding {
        Finding::DoubledBos => ("begins", "begin", "with BOS twice"),
        Finding::MissingBos => (
            "begins",
            "begin",
            "without BOS, which the tokenizer puts before every text",
        ),
        Finding::UnlearnedEnd => (
            "does",
            "do",
            "not learn where the answer ends: the last learned token is none that generation stops at",
        ),
        Finding::GivenLearned => (
            "learns",
            "learn",
            "tokens of a message that was given, and not written by the assistant",
        ),
    }
}

/// What to do about a finding, but for accepting it.
fn remedy(finding: Finding, bos: &str, stops: &[String]) -> String {
    match finding {
        Finding::DoubledBos => format!(
            "one is added, and the row has another: take `{bos}` out of the rows, or out of the chat template's first line"
        ),
        Finding::MissingBos => {
            "begin the chat template with `{{ bos_token }}` (`model.chat_template = \"file.jinja\"`)".into()
        }
        Finding::UnlearnedEnd => format!(
            "generation stops at {}: let the chat template end an answer with one of them, or set `data.train_on_eos = false`",
            list(stops)
        ),
        Finding::GivenLearned => {
            "the `{% generation %}` blocks of the chat template take in more than the assistant's messages: correct them, or set `data.train_on = \"all\"`".into()
        }
    }
}

fn list(columns: &[String]) -> String {
    if columns.is_empty() {
        return "no columns".into();
    }
    let quoted: Vec<_> = columns.iter().map(|column| format!("`{column}`")).collect();
    quoted.join(", ")
}

fn count(count: usize, rows: usize, one: &str, many: &str) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    let verb = if count == 1 { one } else { many };
    format!("{count} of {rows} {noun} {verb}")
}

fn some(origins: &[String]) -> String {
    let mut named = origins
        .iter()
        .take(NAMED_ROWS)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if origins.len() > NAMED_ROWS {
        let _ = write!(named, " and {} more", origins.len() - NAMED_ROWS);
    }
    named
}

/// What a column is needed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededBy {
    /// The format of the rows, by its name in the recipe.
    Format(&'static str),
    /// The template of that name.
    Template(&'static str),
    /// `data.group_by`.
    GroupBy,
}

impl fmt::Display for NeededBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(name) => write!(f, "format `{name}`"),
            Self::Template(name) => write!(f, "the `{name}` template"),
            Self::GroupBy => f.write_str("`data.group_by`"),
        }
    }
}

/// What a JSON value is, with its article.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn worker_numbers(of: &[usize]) -> String {
    match of {
        [] => "no worker".into(),
        of => {
            let of: Vec<String> = of.iter().map(|of| format!("{of} workers")).collect();
            of.join(" and ")
        }
    }
}

impl DataError {
    /// The row that is bad, where the rows around it are not.
    pub(crate) fn bad_row(&self) -> Option<&Origin> {
        match self {
            Self::Utf8 { origin, .. }
            | Self::Nul { origin, .. }
            | Self::LongRow { origin }
            | Self::Json { origin, .. }
            | Self::NotAnObject { origin, .. }
            | Self::Csv { origin, .. }
            | Self::MissingColumn { origin, .. }
            | Self::WrongValue { origin, .. }
            | Self::Expression { origin, .. }
            | Self::Encode { origin, .. } => Some(origin),
            _ => None,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { nearest: Some(nearest), .. } => format!("is it `{nearest}`?"),
            Self::Missing { .. } => "paths in a recipe are relative to the working directory".into(),
            Self::NoParts { path, .. } => format!(
                "a worker writes its part with `slm-tune data prepare RECIPE --parts {path} --shard 1/8`; remove those of another number"
            ),
            Self::MissingParts { path, missing, .. } => format!(
                "prepare it: `slm-tune data prepare RECIPE --parts {path} --shard {}`",
                missing.first().map_or("1/1", String::as_str)
            ),
            Self::OtherPart { .. } => "remove it and prepare it again".into(),
            Self::ChangedWhileRead { .. } => "let what writes it finish, and prepare the rows again".into(),
            Self::Folder { .. } => "give one `[[data.train]]` with its `path` for each file".into(),
            Self::UnknownKind { path, extension } if extension.is_empty() && lists(path) => {
                format!("`{path}/` names all objects that are below it")
            }
            Self::UnknownKind { .. } => {
                "known are `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.parquet`, `.arrow` and `.txt`, and each with `.gz` or `.zst` behind it; rename or convert it".into()
            }
            Self::Compressed { path, command, .. } => format!("unpack it first: `{command} {path}`"),
            Self::Unpack { .. } => "it may be cut off, or of another type than its extension says".into(),
            Self::Bomb { path, .. } => format!("unpack it yourself if it is what it should be, and name the plain file instead of `{path}`"),
            Self::Pattern { .. } => "`*` and `?` stand for characters of a name, `**` for folders, `[a-z]` for one of several".into(),
            Self::Object { source } => source.hint(),
            Self::NoFiles { path } if lists(path) => "objects with `.` in front of a name are left out, and of a folder those with `_` as well; `*` stays in its folder, `**` leads into those below".into(),
            Self::NoFiles { .. } => "paths in a recipe are relative to the working directory; hidden files are left out".into(),
            Self::LinkLoop { link, .. } => format!("remove the link `{link}`, or name the files by a pattern"),
            Self::MixedFormats { .. } => "give each kind of rows a `[[data.train]]` of its own".into(),
            Self::LongRow { .. } => "is it a file of rows? In a CSV, look for a quote that is never closed; else split the row".into(),
            Self::Nul { .. } => "it may be binary, or damaged; `tr -d '\\0' < file > clean-file` takes such bytes out".into(),
            Self::Codec { path, .. } => format!(
                "write it again, for example with `duckdb -c \"COPY (FROM '{path}') TO 'rows.parquet' (COMPRESSION zstd)\"`"
            ),
            Self::Empty { .. } => "a row is a line of JSON, a record after the header of a CSV, or a line of text".into(),
            Self::Utf8 { origin, utf16: true, .. } => {
                format!("it looks like UTF-16: `iconv -f UTF-16 -t UTF-8 {} > utf8-file`", origin.path)
            }
            Self::Utf8 { origin, .. } => format!(
                "convert it to UTF-8; if it came from Windows: `iconv -f CP1252 -t UTF-8 {} > utf8-file`",
                origin.path
            ),
            Self::Json { .. } | Self::Structure { .. } => "every line has to be one complete JSON object, or the file one list of objects".into(),
            Self::NotAnObject { .. } => "a row looks like {\"prompt\": \"..\", \"completion\": \"..\"}".into(),
            Self::OneObject { list: Some(list), origin } => {
                format!("to take the rows under `{list}`: `jq -c '.{list}[]' {} > rows.jsonl`", origin.path)
            }
            Self::OneObject { origin, .. } => {
                format!("to take its values as rows: `jq -c '.[]' {} > rows.jsonl`", origin.path)
            }
            Self::Csv { .. } => {
                "a cell that holds a comma, a quote or a line break is written in double quotes, a quote in it doubled".into()
            }
            Self::Table { .. } => "it may be cut off, or of another type than its extension says".into(),
            Self::MissingColumn { column, found, needed_by, .. } => {
                let nearest = nearest(column, found.iter().map(|found| untyped(found)));
                match (needed_by, nearest) {
                    (NeededBy::Format(_), nearest) => {
                        let other = nearest.as_deref().unwrap_or("..");
                        format!("`columns = {{ {column} = \"{other}\" }}` takes it from another column")
                    }
                    (_, Some(other)) => format!("is it `{other}`?"),
                    (_, None) => return None,
                }
            }
            Self::WrongValue { .. } => return None,
            Self::UnknownFormat { found, .. } => {
                let first = found.first().map_or("question", |column| untyped(column));
                // In rows of preferences, the last column is the answer that was rejected.
                let chosen = found.iter().find(|column| untyped(column) == "chosen");
                let last = chosen.or(found.last()).map_or("answer", |column| untyped(column));
                format!("say what is asked and answered: `prompt = \"{{{first}}}\"` and `completion = \"{{{last}}}\"` beside `path`")
            }
            Self::UnknownColumnName { nearest: Some(nearest), .. } => format!("is it `{nearest}`?"),
            Self::UnknownColumnName { .. } => format!("names are {}", crate::layout::NAMES.join(", ")),
            Self::Template { .. } => "`{column}` takes a column, `{{` and `}}` stand for braces".into(),
            Self::BrokenExpression { .. } | Self::Expression { .. } => {
                "it is a Jinja expression over the columns of the row, as in `{{ answers[0].text | trim }}`; `default('')` stands in for what is not there".into()
            }
            Self::LabelNames { .. } => {
                "it has to be a text file with a name a line, a JSON list of names, or a `dataset_info.json` whose feature of that column has `names`".into()
            }
            Self::SystemWithoutMessages { .. } => {
                "put it into the `prompt` template, or set `data.format = \"messages\"` to make conversations of the rows".into()
            }
            Self::NoChatTemplate { .. } => {
                "name one with `model.chat_template`, or use `prompt` and `completion` instead of messages".into()
            }
            Self::NoTokenizer { .. } => {
                "name the model they were made for with `model.base_model`, instead of `[tokenizer]`".into()
            }
            Self::Encode { source, .. } | Self::Tokenizer { source } => return source.hint(),
            Self::NothingLearned { labelled: true, .. } => {
                "learned is what has another label than -100, but for the first token of a conversation".into()
            }
            Self::NothingLearned { train_on: TrainOn::All, .. } => {
                "a row needs at least two tokens: one to read and one to learn".into()
            }
            Self::NothingLearned { .. } => {
                "learned are the messages of the role `assistant` (`gpt` in ShareGPT rows): look at the roles of these rows and at `data.train_on`".into()
            }
            Self::TooLong { longest, .. } => format!(
                "set `model.max_length` to {longest}, or choose with `data.overlong`: `drop`, `truncate_left` or `truncate_right` (each is counted)"
            ),
            Self::UnknownLabel { nearest: Some((label, nearest)), .. } => format!("is `{label}` meant to be `{nearest}`?"),
            Self::UnknownLabel { .. } => "add it to `data.labels`, or correct the rows".into(),
            Self::Leak { .. } => {
                "leave them out of the rows to learn from with `data.on_leak = \"drop\"`, or measure all the same with `\"report\"`, which lists them beside the shards".into()
            }
            Self::Personal { .. } => {
                "put placeholders in its stead with `data.clean.pii = \"redact\"`, pseudonyms with `\"pseudonymise\"`, or take it out of the rows".into()
            }
            Self::PseudonymKey { .. } => {
                "make one, and keep it where the rows are not: `openssl rand -hex 32`; the same key gives the same pseudonyms".into()
            }
            Self::Words { .. } => "a line that begins with `#` is a remark".into(),
            Self::NoLabels { .. } => "a label is the text to be learned of a row; leave `data.stratify` out for other rows".into(),
            Self::Conflicts { .. } => {
                "correct them, or leave all of them out with `data.clean.conflicts = \"drop\"`; `\"report\"` lists them beside the shards".into()
            }
            Self::Mask { finding, bos, stops, .. } => format!(
                "{}; to train all the same: `data.accept_findings = [\"{}\"]`",
                remedy(*finding, bos, stops),
                finding.name()
            ),
            Self::MaskMismatch { .. } => {
                "the files may come from another run, or were changed since: export the run again with `slm-tune export RUN`".into()
            }
            Self::NoTrainingRows { .. } => "lower `data.val_size`, raise `model.max_length`, or give more rows".into(),
            Self::Shards { .. } => "prepare the data again with `slm-tune data prepare`".into(),
            Self::NoSuchRow { rows, .. } => format!(
                "it has {rows} rows, counted from 0 in the order of the files; a row is named by its number, by the first characters of its digest, or by file and line, as in `rows.jsonl:12`"
            ),
            Self::Write { source } => return source.hint(),
            Self::Io { .. } => return None,
        })
    }
}

/// A column without the type that a table declares for it.
fn untyped(column: &str) -> &str {
    column.split(": ").next().unwrap_or(column)
}

/// The candidate most like `name`, if any is alike.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let alike = candidates
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, other), other));
    let best = alike
        .filter(|(alike, _)| *alike > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, other)| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_are_named_up_to_five_and_counted() {
        let origins: Vec<_> = (1..=7).map(|line| format!("`a.jsonl:{line}`")).collect();
        let error = DataError::TooLong {
            origins,
            rows: 10,
            max_length: 8,
            longest: 12,
        };
        assert_eq!(
            error.to_string(),
            "7 of 10 rows are longer than `max_length` 8: `a.jsonl:1`, `a.jsonl:2`, `a.jsonl:3`, `a.jsonl:4`, `a.jsonl:5` and 2 more"
        );
    }

    #[test]
    fn nearest_is_none_where_nothing_is_alike() {
        assert_eq!(
            nearest("complet", ["completion", "prompt"]),
            Some("completion".into())
        );
        assert_eq!(nearest("xyz", ["completion", "prompt"]), None);
    }
}
