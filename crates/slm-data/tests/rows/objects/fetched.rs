//! One object by its address.

use std::io::{Read, Write};
use std::path::PathBuf;

use slm_recipe::DataSection;

use super::child::child;
use super::server::Server;
use crate::bench::Bench;

const ROW: &str = "{\"prompt\": \"where is the card\", \"completion\": \" late\"}\n";

fn section(bench: &Bench, address: &str) -> DataSection {
    let mut section = bench.section("a.jsonl");
    section.train[0].path = address.into();
    section
}

#[test]
fn an_object_is_fetched_once_and_again_when_it_changed() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let address = format!("http://127.0.0.1:{}/sets/train.jsonl.gz", server.port);
    let gzip = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let told = |rows: usize, bytes: &[u8]| {
        let sha256 = slm_run::sha256_bytes(bytes);
        format!(
            "rows {rows} of {address} bytes {} sha256 {sha256}",
            bytes.len()
        )
    };
    let one = gzip(&ROW.repeat(3));
    server.put("/sets/train.jsonl.gz", one.clone(), Some("\"one\""));
    assert_eq!(child(cache.path(), &address, &[])[0], told(3, &one));
    assert_eq!(server.seen(), ["200 /sets/train.jsonl.gz"]);
    assert_eq!(child(cache.path(), &address, &[])[0], told(3, &one));
    assert_eq!(server.seen(), ["304 /sets/train.jsonl.gz"]);
    let two = gzip(&ROW.repeat(5));
    server.put("/sets/train.jsonl.gz", two.clone(), Some("\"two\""));
    assert_eq!(child(cache.path(), &address, &[])[0], told(5, &two));
    assert_eq!(server.seen(), ["200 /sets/train.jsonl.gz"]);
    // Without a tag nobody knows whether it changed.
    server.put("/sets/train.jsonl.gz", one.clone(), None);
    for _ in 0..2 {
        assert_eq!(child(cache.path(), &address, &[])[0], told(3, &one));
        assert_eq!(server.seen(), ["200 /sets/train.jsonl.gz"]);
    }
    let kept: Vec<PathBuf> = walkdir::WalkDir::new(cache.path())
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mut bytes = Vec::new();
    fs_err::File::open(&kept[0])
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, one);
}

#[test]
fn stores_of_clouds_are_asked_with_keys_of_the_environment() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    server.put("/rows/sets/train.jsonl", ROW, Some("\"one\""));
    for (scheme, seen) in [
        ("s3", "200 /rows/sets/train.jsonl signed"),
        ("gs", "200 /rows/sets/train.jsonl"),
    ] {
        let address = format!("{scheme}://rows/sets/train.jsonl");
        let told = child(cache.path(), &address, &server.environment());
        let sha256 = slm_run::sha256_bytes(ROW.as_bytes());
        let expected = format!("rows 1 of {address} bytes {} sha256 {sha256}", ROW.len());
        assert_eq!(told[0], expected);
        assert_eq!(server.seen(), [seen]);
    }
}

#[test]
fn what_is_not_there_or_may_hold_a_key_is_refused() {
    let server = Server::start();
    let mut bench = Bench::new();
    let address = format!("http://127.0.0.1:{}/none.jsonl", server.port);
    let missing = section(&bench, &address);
    assert_eq!(
        bench.refusal(&missing),
        (
            format!("`{address}` cannot be fetched: the store has no such object"),
            format!(
                "only what opens without a login is fetched; or copy it first: `curl -LO {address}`"
            ),
        )
    );
    let secret = section(&bench, "https://me:word@example.org/a.jsonl?sig=secret");
    assert_eq!(
        bench.refusal(&secret),
        (
            "the address of `https://example.org/a.jsonl` has a user, a query or a fragment, which may hold a key and would be kept".into(),
            "copy it first with a tool that knows the whole address, and name the file".into(),
        )
    );
    assert_eq!(server.seen(), ["404 /none.jsonl"]);
    for several in ["https://example.org/rows/", "http://127.0.0.1:9/*.jsonl"] {
        let several = section(&bench, several);
        let path = several.train[0].path.clone();
        assert_eq!(
            bench.refusal(&several),
            (
                format!("`{path}` stands for several files, and a server of web pages does not tell which it has"),
                "give one `[[data.train]]` with its `path` for each file; `s3://` and `gs://` have folders and patterns; `%2A` and `%5B` are the signs `*` and `[` of a name".into(),
            )
        );
    }
    let no_bucket = section(&bench, "s3://row*/a.jsonl");
    assert_eq!(
        bench.refusal(&no_bucket),
        (
            "`s3://row*/a.jsonl` names no bucket".into(),
            "a bucket is named as it is, and the signs of a pattern come behind it: `s3://bucket/rows/*.jsonl`".into(),
        )
    );
    let unknown = section(&bench, "s3://rows/train.xyz");
    assert_eq!(
        bench.refusal(&unknown).0,
        "data file `s3://rows/train.xyz` has the unknown type `.xyz`"
    );
    let folder = section(&bench, "gs://rows/sets");
    assert_eq!(
        bench.refusal(&folder),
        (
            "data file `gs://rows/sets` has the unknown type `.`".into(),
            "`gs://rows/sets/` names all objects that are below it".into(),
        )
    );
}
