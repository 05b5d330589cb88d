//! Rows of stores, by their addresses.

#[cfg(not(feature = "cloud"))]
#[test]
fn a_build_without_stores_says_what_to_do() {
    use crate::bench::Bench;

    let mut bench = Bench::new();
    for (address, copy) in [
        (
            "s3://rows/train.jsonl.gz",
            "aws s3 cp s3://rows/train.jsonl.gz .",
        ),
        (
            "gs://rows/train.csv",
            "gcloud storage cp gs://rows/train.csv .",
        ),
        (
            "https://example.org/train.parquet",
            "curl -LO https://example.org/train.parquet",
        ),
    ] {
        let mut section = bench.section("a.jsonl");
        section.train[0].path = address.into();
        assert_eq!(
            bench.refusal(&section),
            (
                format!(
                    "`{address}` is an object of a store, and this build of slm-tune reads files only"
                ),
                format!(
                    "copy it first (`{copy}`), or build with `cargo build --release --features cloud`"
                ),
            )
        );
    }
}

#[cfg(feature = "cloud")]
mod fetched {
    #![expect(clippy::print_stdout, reason = "a child tells its parent")]

    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use slm_data::Shards;
    use slm_recipe::DataSection;

    use crate::bench::Bench;

    const ROW: &str = "{\"prompt\": \"where is the card\", \"completion\": \" late\"}\n";
    /// The port of the server that a child of this process asks, if it is one.
    const CHILD: &str = "SLM_DATA_TEST_OBJECTS";

    /// What is under a path, and its tag.
    type Objects = Arc<Mutex<BTreeMap<String, (Vec<u8>, Option<&'static str>)>>>;

    /// A server of objects that tells requests with their statuses.
    struct Server {
        port: u16,
        objects: Objects,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        fn start() -> Self {
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

        fn put(&self, path: &str, bytes: impl Into<Vec<u8>>, tag: Option<&'static str>) {
            let mut objects = self.objects.lock().unwrap();
            objects.insert(path.into(), (bytes.into(), tag));
        }

        fn seen(&self) -> Vec<String> {
            std::mem::take(&mut *self.seen.lock().unwrap())
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
            // One of the stores is asked with every sign of a name encoded.
            let path = head
                .split(' ')
                .nth(1)
                .unwrap()
                .replace("%2F", "/")
                .replace("%2E", ".");
            let known = head
                .lines()
                .find_map(|line| line.strip_prefix("if-none-match: "));
            let found = objects.lock().unwrap().get(&path).cloned();
            let (status, tag, body) = match found {
                None => ("404 Not Found", None, Vec::new()),
                Some((_, tag)) if tag.is_some() && known == tag => {
                    ("304 Not Modified", tag, Vec::new())
                }
                Some((body, tag)) => ("200 OK", tag, body),
            };
            let signed = match head.contains("authorization: AWS4-HMAC-SHA256 ") {
                true => " signed",
                false => "",
            };
            let line = format!("{} {path}{signed}", &status[..3]);
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

    fn section(bench: &Bench, address: &str) -> DataSection {
        let mut section = bench.section("a.jsonl");
        section.train[0].path = address.into();
        section
    }

    /// Runs as a child of the next test only, whose folder for caches it has.
    #[test]
    fn a_child_prepares_an_object() {
        let Ok(address) = std::env::var(CHILD) else {
            return;
        };
        let mut bench = Bench::new();
        let section = section(&bench, &address);
        let shards = bench.shards(&section);
        let source = &shards.manifest().sources[0];
        println!(
            "rows {} of {} bytes {} sha256 {}",
            source.rows, source.path, source.size_bytes, source.sha256
        );
        for row in shards.train() {
            assert!(row.row < source.rows);
        }
        // A row that is bad is told by the address.
        let first = slm_data::read_rows(&address).unwrap().rows[0]
            .origin
            .to_string();
        assert_eq!(first, format!("{address}:1"));
        assert!(Shards::open(&bench.out()).is_ok());
    }

    fn child(cache: &Path, address: &str, environment: &[(&str, &str)]) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "objects::fetched::a_child_prepares_an_object",
                "--exact",
                "--nocapture",
            ])
            .env(CHILD, address)
            .env("SLM_TUNE_CACHE", cache)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        said.lines()
            .find(|line| line.starts_with("rows "))
            .unwrap()
            .to_owned()
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
        assert_eq!(child(cache.path(), &address, &[]), told(3, &one));
        assert_eq!(server.seen(), ["200 /sets/train.jsonl.gz"]);
        assert_eq!(child(cache.path(), &address, &[]), told(3, &one));
        assert_eq!(server.seen(), ["304 /sets/train.jsonl.gz"]);
        let two = gzip(&ROW.repeat(5));
        server.put("/sets/train.jsonl.gz", two.clone(), Some("\"two\""));
        assert_eq!(child(cache.path(), &address, &[]), told(5, &two));
        assert_eq!(server.seen(), ["200 /sets/train.jsonl.gz"]);
        // Without a tag nobody knows whether it changed.
        server.put("/sets/train.jsonl.gz", one.clone(), None);
        for _ in 0..2 {
            assert_eq!(child(cache.path(), &address, &[]), told(3, &one));
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
        let at = format!("http://127.0.0.1:{}", server.port);
        let environment = [
            ("AWS_ENDPOINT", at.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "someone"),
            ("AWS_SECRET_ACCESS_KEY", "word"),
            ("GOOGLE_BASE_URL", &at),
            ("GOOGLE_ALLOW_HTTP", "true"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ];
        for (scheme, seen) in [
            ("s3", "200 /rows/sets/train.jsonl signed"),
            ("gs", "200 /rows/sets/train.jsonl"),
        ] {
            let address = format!("{scheme}://rows/sets/train.jsonl");
            let told = child(cache.path(), &address, &environment);
            let sha256 = slm_run::sha256_bytes(ROW.as_bytes());
            let expected = format!("rows 1 of {address} bytes {} sha256 {sha256}", ROW.len());
            assert_eq!(told, expected);
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
        let unknown = section(&bench, "s3://rows/train.xyz");
        assert_eq!(
            bench.refusal(&unknown).0,
            "data file `s3://rows/train.xyz` has the unknown type `.xyz`"
        );
    }
}
