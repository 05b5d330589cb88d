//! A store of objects on this machine, with lists of its buckets in pages of two.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Bound;
use std::sync::{Arc, Mutex};

/// Objects of a page.
const PAGE: usize = 2;

/// What is under a path, and its tag.
type Objects = Arc<Mutex<BTreeMap<String, (Vec<u8>, Option<&'static str>)>>>;

/// A server of objects that tells requests with their statuses.
pub(super) struct Server {
    pub(super) port: u16,
    objects: Objects,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (objects, seen) = (Objects::default(), Arc::<Mutex<Vec<String>>>::default());
        let (theirs, log) = (objects.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (objects, log) = (theirs.clone(), log.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &objects, &log));
            }
        });
        Self {
            port,
            objects,
            seen,
        }
    }

    pub(super) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>, tag: Option<&'static str>) {
        let mut objects = self.objects.lock().unwrap();
        objects.insert(path.into(), (bytes.into(), tag));
    }

    pub(super) fn remove(&self, path: &str) {
        self.objects.lock().unwrap().remove(path).unwrap();
    }

    /// What was asked for since the last time.
    pub(super) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// What makes the stores of clouds this one.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let at = format!("http://127.0.0.1:{}", self.port);
        let known = |text: &str| text.to_owned();
        vec![
            ("AWS_ENDPOINT", at.clone()),
            ("AWS_ALLOW_HTTP", known("true")),
            ("AWS_REGION", known("eu-central-1")),
            ("AWS_ACCESS_KEY_ID", known("someone")),
            ("AWS_SECRET_ACCESS_KEY", known("word")),
            ("GOOGLE_BASE_URL", at),
            ("GOOGLE_ALLOW_HTTP", known("true")),
            ("GOOGLE_SKIP_SIGNATURE", known("true")),
        ]
    }
}

fn answer(stream: TcpStream, objects: &Objects, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if reader.read_until(b'\n', &mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = String::from_utf8(head).unwrap();
        let asked = head.split(' ').nth(1).unwrap();
        let (path, query) = asked.split_once('?').unwrap_or((asked, ""));
        // Before it is decoded, an encoded `&` or `=` is of a value.
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(&value.replace('+', " "))))
            .collect();
        let path = decoded(path);
        let known = head
            .lines()
            .find_map(|line| line.strip_prefix("if-none-match: "));
        let objects = objects.lock().unwrap().clone();
        let (status, tag, body) = match objects.get(&path) {
            None if query.contains_key("list-type") => list(&objects, &path, &query),
            None => ("404 Not Found", None, Vec::new()),
            Some((_, tag)) if tag.is_some() && known == *tag => {
                ("304 Not Modified", *tag, Vec::new())
            }
            Some((body, tag)) => ("200 OK", *tag, body.clone()),
        };
        let signed = match head.contains("authorization: AWS4-HMAC-SHA256 ") {
            true => " signed",
            false => "",
        };
        let of = |name: &str| query.get(name).map_or("", String::as_str);
        let listed = match query.contains_key("list-type") {
            true => format!(" list {}{}", of("prefix"), of("delimiter")),
            false => String::new(),
        };
        let line = format!("{} {path}{listed}{signed}", &status[..3]);
        log.lock().unwrap().push(line);
        let tag = tag.map_or(String::new(), |tag| format!("etag: {tag}\r\n"));
        let length = body.len();
        // The stores of clouds always say when.
        let head = format!(
            "HTTP/1.1 {status}\r\n{tag}last-modified: Fri, 02 Jan 2026 03:04:05 GMT\r\ncontent-length: {length}\r\n\r\n"
        );
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .unwrap();
    }
}

/// A page of a bucket's list, as version 2 of S3's has it.
fn list(
    objects: &BTreeMap<String, (Vec<u8>, Option<&'static str>)>,
    bucket: &str,
    query: &BTreeMap<String, String>,
) -> (&'static str, Option<&'static str>, Vec<u8>) {
    let bucket = format!("{bucket}/");
    if !objects.keys().any(|path| path.starts_with(&bucket)) {
        let body = "<Error><Code>NoSuchBucket</Code></Error>";
        return ("404 Not Found", None, body.into());
    }
    let of = |name: &str| query.get(name).map_or("", String::as_str);
    let (prefix, delimiter) = (of("prefix"), of("delimiter"));
    let after = match of("continuation-token") {
        "" => Bound::Unbounded,
        token => Bound::Excluded(token.to_owned()),
    };
    let (mut xml, mut folders, mut count, mut last) =
        (String::new(), BTreeSet::new(), 0, String::new());
    let mut goes_on = String::new();
    for (path, (bytes, tag)) in objects.range((after, Bound::Unbounded)) {
        let Some(key) = path.strip_prefix(&bucket) else {
            continue;
        };
        let Some(below) = key.strip_prefix(prefix) else {
            continue;
        };
        if count == PAGE {
            goes_on = format!("<NextContinuationToken>{last}</NextContinuationToken>");
            break;
        }
        last.clone_from(path);
        count += 1;
        match below.find('/').filter(|_| delimiter == "/") {
            Some(end) => {
                folders.insert(format!("{prefix}{}", &below[..=end]));
            }
            None => {
                let tag = tag.map_or(String::new(), |tag| {
                    format!("<ETag>{}</ETag>", tag.replace('"', "&quot;"))
                });
                let key = key.replace('&', "&amp;");
                xml += &format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>{tag}<Size>{}</Size></Contents>",
                    bytes.len()
                );
            }
        }
    }
    let folders: String = folders
        .iter()
        .map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"))
        .collect();
    let is_cut = !goes_on.is_empty();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><IsTruncated>{is_cut}</IsTruncated>{goes_on}{xml}{folders}</ListBucketResult>"
    );
    ("200 OK", None, body.into_bytes())
}

/// What a path or a part of a query stands for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap().bytes());
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).unwrap()
}
