//! Objects of a folder or a pattern, by the list that their store gives.

use std::path::Path;

use slm_run::sha256_bytes;

use super::child::{child, child_again};
use super::server::Server;

/// Rows that are told apart by their number.
fn rows(first: usize, count: usize) -> String {
    let row = |at| format!("{{\"prompt\": \"where is card {at}\", \"completion\": \" late\"}}\n");
    (first..first + count).map(row).collect()
}

/// A bucket with a folder of three objects of rows and of some that are none, and others around it.
fn bucket() -> Server {
    let server = Server::start();
    let put = |key: &str, bytes: String| {
        server.put(&format!("/rows/{key}"), bytes, Some("\"one\""));
    };
    put("sets/b.jsonl", rows(10, 2));
    put("sets/a.jsonl", rows(20, 1));
    put("sets/deep/c.jsonl", rows(30, 1));
    put("sets/.hidden.jsonl", rows(40, 1));
    put("sets/_later/d.jsonl", rows(50, 1));
    put("sets/_SUCCESS", String::new());
    // As consoles of stores make folders.
    put("sets/", String::new());
    put("sets/deep/", String::new());
    put("sets-other/e.jsonl", rows(60, 1));
    put("sets.jsonl", rows(70, 1));
    server
}

/// What a child tells of files, and where their rows are from.
fn expected(address: &str, folder: &str, files: &[(&str, &str)]) -> Vec<String> {
    let digest = |text: &str| sha256_bytes(text.as_bytes());
    let count = |text: &str| text.lines().count();
    let line = |(name, text): &(&str, &str)| format!("{}  {folder}{name}\n", digest(text));
    let sums: String = files.iter().map(line).collect();
    let in_all: usize = files.iter().map(|(_, text)| count(text)).sum();
    let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
    let mut told = vec![format!(
        "rows {in_all} of {address} bytes {bytes} sha256 {}",
        match files {
            [(_, text)] => digest(text),
            _ => digest(&sums),
        }
    )];
    told.extend(files.iter().map(|(name, text)| {
        format!(
            "file {folder}{name} rows {} sha256 {}",
            count(text),
            digest(text)
        )
    }));
    for (name, text) in files {
        told.extend((1..=count(text)).map(|line| format!("from {folder}{name}:{line}")));
    }
    told
}

/// What was asked, in any order where several are asked for at once.
fn sorted(mut seen: Vec<String>) -> Vec<String> {
    seen.sort();
    seen
}

#[test]
fn a_folder_is_one_source_and_only_what_changed_is_fetched_again() {
    let server = bucket();
    let cache = tempfile::tempdir().unwrap();
    let folder = "s3://rows/sets/";
    let read = || child(cache.path(), folder, &server.environment());
    let (a, b, c) = (rows(20, 1), rows(10, 2), rows(30, 1));
    let files = [("a.jsonl", &*a), ("b.jsonl", &b), ("deep/c.jsonl", &c)];
    assert_eq!(read(), expected(folder, folder, &files));
    // Eight objects are below it, two on a page.
    let pages = ["200 /rows list sets/ signed"; 4].map(str::to_owned);
    let got = ["a", "b", "deep/c"].map(|name| format!("200 /rows/sets/{name}.jsonl signed"));
    assert_eq!(sorted(server.seen()), [&pages[..], &got].concat());

    // What a list tells of versions is enough.
    assert_eq!(read(), expected(folder, folder, &files));
    assert_eq!(server.seen(), pages);

    let b = rows(80, 3);
    server.put("/rows/sets/b.jsonl", b.clone(), Some("\"two\""));
    server.put("/rows/sets/a0.jsonl", rows(90, 1), None);
    server.remove("/rows/sets/deep/c.jsonl");
    let a0 = rows(90, 1);
    let files = [("a.jsonl", &*a), ("a0.jsonl", &a0), ("b.jsonl", &b)];
    assert_eq!(read(), expected(folder, folder, &files));
    let got = ["a0", "b"].map(|name| format!("200 /rows/sets/{name}.jsonl signed"));
    assert_eq!(sorted(server.seen()), [&pages[..], &got].concat());
    // Without a tag nobody knows whether it changed.
    assert_eq!(read(), expected(folder, folder, &files));
    assert_eq!(sorted(server.seen()), [&pages[..], &got[..1]].concat());
}

#[test]
fn patterns_find_what_they_find_on_disk() {
    let server = bucket();
    let cache = tempfile::tempdir().unwrap();
    let disk = tempfile::tempdir().unwrap();
    let on_disk = disk.path().join("sets");
    fs_err::create_dir_all(on_disk.join("deep")).unwrap();
    fs_err::create_dir_all(on_disk.join("_later")).unwrap();
    for name in ["b", "a", "deep/c", ".hidden", "_later/d", "../sets"] {
        let file = on_disk.join(format!("{name}.jsonl"));
        fs_err::write(file, "{\"prompt\": \"a\", \"completion\": \" b\"}\n").unwrap();
    }
    for (pattern, names, asked) in [
        ("sets/*.jsonl", &["a", "b"][..], "list sets//"),
        ("sets/?.jsonl", &["a", "b"], "list sets//"),
        ("sets/[b-z]*.jsonl", &["b"], "list sets//"),
        (
            "sets/**/*.jsonl",
            &["_later/d", "a", "b", "deep/c"],
            "list sets/",
        ),
        ("sets/*/*.jsonl", &["_later/d", "deep/c"], "list sets/"),
        ("set*/c.jsonl", &[], "list "),
    ] {
        for (scheme, signed) in [("s3", " signed"), ("gs", "")] {
            let address = format!("{scheme}://rows/{pattern}");
            let told = child(cache.path(), &address, &server.environment());
            let seen = server.seen();
            let lists = seen.iter().filter(|line| line.contains(" list "));
            let asked = format!("200 /rows {asked}{signed}");
            assert!(lists.clone().count() > 1, "{seen:?}");
            assert!(lists.into_iter().all(|line| *line == asked), "{seen:?}");
            let place = format!("{scheme}://rows/sets/");
            assert_eq!(found(&told, &place), names, "{address}: {told:?}");
            let local = disk.path().join(pattern).display().to_string();
            let told = child(cache.path(), &local, &[]);
            let place = format!("{}/", on_disk.display());
            assert_eq!(found(&told, &place), names, "{local}: {told:?}");
        }
    }
}

/// The files of what a child tells, without folder and extension.
fn found(told: &[String], folder: &str) -> Vec<String> {
    let name = |line: &String| {
        let file = line.strip_prefix("file ")?.split(' ').next()?;
        let name = file.strip_prefix(folder)?.strip_suffix(".jsonl")?;
        Some(name.to_owned())
    };
    told.iter().filter_map(name).collect()
}

#[test]
fn any_name_of_an_object_is_an_address() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    let names = ["a [1].jsonl", "b%20.jsonl", "c#?.jsonl", "d ü&=+.jsonl"];
    for (at, name) in names.iter().enumerate() {
        let path = format!("/rows/odd names/{name}");
        server.put(&path, rows(at * 10, at + 1), Some("\"one\""));
    }
    let written = [
        "a [1].jsonl",
        "b%2520.jsonl",
        "c%23%3F.jsonl",
        "d ü&=+.jsonl",
    ];
    for folder in ["s3://rows/odd names/", "s3://rows/odd%20names/"] {
        let told = child(cache.path(), folder, &server.environment());
        let texts: Vec<String> = (0..4).map(|at| rows(at * 10, at + 1)).collect();
        let files: Vec<(&str, &str)> = written
            .into_iter()
            .zip(texts.iter().map(String::as_str))
            .collect();
        assert_eq!(told, expected(folder, folder, &files));
        for (name, text) in files {
            let address = format!("{folder}{name}");
            let told = child(cache.path(), &address, &server.environment());
            let digest = sha256_bytes(text.as_bytes());
            let size_bytes = text.len();
            let count = text.lines().count();
            assert_eq!(
                told[0],
                format!("rows {count} of {address} bytes {size_bytes} sha256 {digest}")
            );
        }
    }
}

#[test]
fn what_is_replaced_while_it_is_read_is_told() {
    let server = bucket();
    let cache = tempfile::tempdir().unwrap();
    for address in ["s3://rows/sets/a.jsonl", "s3://rows/sets/"] {
        let told = child_again(cache.path(), address, &server.environment());
        let last = told.last().unwrap();
        let expected = "again: data file `s3://rows/sets/a.jsonl` changed while it was read";
        assert_eq!(last, expected, "{told:?}");
        clear(cache.path());
    }
}

fn clear(folder: &Path) {
    fs_err::remove_dir_all(folder.join("objects")).unwrap();
}

#[test]
fn what_no_list_has_is_refused() {
    let server = bucket();
    let cache = tempfile::tempdir().unwrap();
    server.put("/rows/mixed/a.jsonl", rows(0, 1), None);
    server.put("/rows/mixed/b.xyz", "b", None);
    let refused = |address: &str| child(cache.path(), address, &server.environment());
    assert_eq!(
        refused("gs://rows/none/"),
        [
            "refused: `gs://rows/none/` names no file",
            "hint: objects with `.` in front of a name are left out, and of a folder those with `_` as well; `*` stays in its folder, `**` leads into those below",
        ]
    );
    assert_eq!(
        refused("s3://rows/mixed/")[0],
        "refused: data file `s3://rows/mixed/b.xyz` has the unknown type `.xyz`"
    );
    let told = refused("gs://other/a-*.jsonl");
    let (start, end) = (
        "refused: `gs://other/` cannot be listed: ",
        "404 Not Found: <Error><Code>NoSuchBucket</Code></Error>",
    );
    assert!(
        told[0].starts_with(start) && told[0].ends_with(end),
        "{told:?}"
    );
    assert_eq!(
        told[1],
        "hint: keys come from the file that `GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS` names; `GOOGLE_SKIP_SIGNATURE=true` reads what is public; or copy it first: `gcloud storage rsync --recursive gs://other/ rows`"
    );
}
