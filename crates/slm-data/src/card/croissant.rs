//! The card for programs: Croissant 1.0 of `MLCommons` (<http://mlcommons.org/croissant/1.0>), JSON-LD over schema.org.

use serde_json::{Value, json};

use super::DataCard;
use crate::manifest::SourceRecord;
use crate::side::Side;

/// The fields of a row in the shards: name, type, whether it is a list, and what it is.
const FIELDS: [(&str, &str, bool, &str); 6] = [
    (
        "row",
        "sc:Integer",
        false,
        "Number of the row, over all source files from 0",
    ),
    (
        "origin",
        "sc:Text",
        false,
        "File and line that the row came from",
    ),
    ("answer", "sc:Text", false, "only, chosen or rejected"),
    ("ids", "sc:Integer", true, "Token ids"),
    (
        "learn",
        "sc:Boolean",
        true,
        "Whether the token at the same place is learned",
    ),
    (
        "breaks",
        "sc:Integer",
        true,
        "Places at which another conversation begins",
    ),
];
/// Names of the specification's context that are its own words.
const WORDS: [&str; 26] = [
    "citeAs",
    "column",
    "equivalentProperty",
    "extract",
    "field",
    "fileObject",
    "fileProperty",
    "fileSet",
    "format",
    "includes",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "samplingRate",
    "separator",
    "source",
    "subField",
    "transform",
];

/// Croissant metadata: the source files and, where `shards` says where they lie, the encoded rows. Everything else that the card
/// has stands under `card`.
///
/// `shards`: the folder of the shards as seen from the file that the metadata is written into, with a slash at its end.
pub fn croissant(card: &DataCard, shards: Option<&str>) -> Value {
    let stated = card.card();
    let rows = card.manifest.rows();
    let described = format!("{rows} rows, prepared by slm-tune {}", card.tool_version);
    let creator = stated.creator.as_ref();
    let creator = creator.map(|name| json!({"@type": "sc:Organization", "name": name}));
    let languages = Some(&stated.languages).filter(|languages| !languages.is_empty());
    let sides: Vec<Side> = sides(card).filter(|_| shards.is_some()).collect();
    let folder = shards.unwrap_or_default();
    let shards = sides.iter().map(|side| shard_set(side.name(), folder));
    let files: Vec<Value> = sources(card).chain(shards).collect();
    let records: Vec<Value> = sides.iter().map(|side| record_set(*side)).collect();
    let records = Some(records).filter(|records| !records.is_empty());
    let all = [
        ("@context", context()),
        ("@type", json!("sc:Dataset")),
        ("conformsTo", json!("http://mlcommons.org/croissant/1.0")),
        ("name", json!(card.name)),
        (
            "description",
            json!(stated.description.unwrap_or(described)),
        ),
        ("license", json!(card.whole_license())),
        ("url", json!(stated.url)),
        ("creator", json!(creator)),
        ("datePublished", json!(stated.published)),
        ("citeAs", json!(stated.citation)),
        ("inLanguage", json!(languages)),
        ("distribution", json!(files)),
        ("recordSet", json!(records)),
        ("card", serde_json::to_value(card).unwrap_or_default()),
    ];
    let known = all.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(known.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The sides that have rows.
fn sides(card: &DataCard) -> impl Iterator<Item = Side> + '_ {
    let there = card.manifest.sides().filter(|(_, record)| record.rows > 0);
    there.map(|(side, _)| side)
}

fn sources(card: &DataCard) -> impl Iterator<Item = Value> + '_ {
    let file = |(at, source): (usize, &SourceRecord)| {
        let mut file = json!({
            "@type": "cr:FileObject",
            "@id": format!("source-{at}"),
            "name": source.path,
            "contentUrl": source.path,
            "contentSize": format!("{} B", source.size_bytes),
            "encodingFormat": encoding_format(&source.path),
            "sha256": source.sha256,
        });
        if let Some(license) = card.license(at) {
            file["license"] = json!(license);
        }
        file
    };
    card.manifest.sources.iter().enumerate().map(file)
}

/// The media type of a file, by its extension.
fn encoding_format(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "jsonl" | "ndjson" => "application/jsonlines",
        "json" => "application/json",
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "parquet" | "pq" => "application/x-parquet",
        "arrow" | "feather" | "ipc" => "application/vnd.apache.arrow.file",
        "txt" | "text" => "text/plain",
        _ => "application/octet-stream",
    }
}

fn shard_set(side: &str, folder: &str) -> Value {
    json!({
        "@type": "cr:FileSet",
        "@id": format!("{side}-shards"),
        "name": format!("{side}-shards"),
        "includes": format!("{folder}{side}-*.parquet"),
        "encodingFormat": "application/x-parquet",
    })
}

fn record_set(side: Side) -> Value {
    let what = match side {
        Side::Train => "The rows that are learned from, encoded",
        Side::Validation => "The rows that are held out, encoded",
        Side::Test => "The rows that are held out for the tasks, encoded",
    };
    let side = side.name();
    let field = |(name, kind, repeated, what): &(&str, &str, bool, &str)| {
        json!({
            "@type": "cr:Field",
            "@id": format!("{side}/{name}"),
            "name": name,
            "description": what,
            "dataType": kind,
            "repeated": repeated,
            "source": {"fileSet": {"@id": format!("{side}-shards")}, "extract": {"column": name}},
        })
    };
    json!({
        "@type": "cr:RecordSet",
        "@id": side,
        "name": side,
        "description": what,
        "field": FIELDS.iter().map(field).collect::<Vec<_>>(),
    })
}

/// The context of the specification, and a place for what it has no words for.
fn context() -> Value {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "dct": "http://purl.org/dc/terms/",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
        "slm": "https://github.com/slm-tune/slm-tune#",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "card": {"@id": "slm:card", "@type": "@json"},
    });
    for word in WORDS {
        context[word] = json!(format!("cr:{word}"));
    }
    context
}
