//! Rows of stores, by their addresses.

#[cfg(feature = "cloud")]
mod child;
#[cfg(feature = "cloud")]
mod fetched;
#[cfg(feature = "cloud")]
mod listed;
#[cfg(feature = "cloud")]
mod server;

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
        ("s3://rows/sets/", "aws s3 sync s3://rows/sets/ rows"),
        (
            "gs://rows/sets/*/*.jsonl",
            "gcloud storage rsync --recursive gs://rows/sets/ rows",
        ),
    ] {
        let mut section = bench.section("a.jsonl");
        section.train[0].path = address.into();
        assert_eq!(
            bench.refusal(&section),
            (
                format!(
                    "`{address}` is in a store of objects, and this build of slm-tune reads files only"
                ),
                format!(
                    "copy it first (`{copy}`), or build with `cargo build --release --features cloud`"
                ),
            )
        );
    }
}
