use super::super::names::SIGNS;

/// What keeps an object of a store from being read.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum ObjectError {
    #[error("`{path}` is in a store of objects, and this build of slm-tune reads files only")]
    NotBuilt { path: String },
    #[error("`{path}` cannot be fetched: {reason}")]
    Failed { path: String, reason: String },
    #[error("`{path}` cannot be listed: {reason}")]
    NotListed { path: String, reason: String },
    #[error(
        "`{path}` stands for several files, and a server of web pages does not tell which it has"
    )]
    NoList { path: String },
    #[error("`{path}` names no bucket")]
    NoBucket { path: String },
    #[error(
        "the address of `{path}` has a user, a query or a fragment, which may hold a key and would be kept"
    )]
    Secret { path: String },
}

impl ObjectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotBuilt { path } => format!(
                "copy it first ({}), or build with `cargo build --release --features cloud`",
                copy(path)
            ),
            Self::Failed { path, .. } | Self::NotListed { path, .. } => {
                format!("{}; or copy it first: {}", environment(path), copy(path))
            }
            Self::NoList { .. } => {
                "give one `[[data.train]]` with its `path` for each file; `s3://` and `gs://` have folders and patterns; `%2A` and `%5B` are the signs `*` and `[` of a name".into()
            }
            Self::NoBucket { .. } => {
                "a bucket is named as it is, and the signs of a pattern come behind it: `s3://bucket/rows/*.jsonl`".into()
            }
            Self::Secret { .. } => {
                "copy it first with a tool that knows the whole address, and name the file".into()
            }
        }
    }
}

/// The command that copies what is at an address.
fn copy(path: &str) -> String {
    let (scheme, _) = path.split_once("://").unwrap_or_default();
    let fixed = path.find(SIGNS).unwrap_or(path.len());
    let folder = path[..fixed].rfind('/').map_or("", |end| &path[..=end]);
    let is_one = fixed == path.len() && folder != path;
    match (scheme, is_one) {
        ("s3", true) => format!("`aws s3 cp {path} .`"),
        ("s3", false) => format!("`aws s3 sync {folder} rows`"),
        ("gs", true) => format!("`gcloud storage cp {path} .`"),
        ("gs", false) => format!("`gcloud storage rsync --recursive {folder} rows`"),
        _ => format!("`curl -LO {path}`"),
    }
}

/// What says who asks.
fn environment(path: &str) -> &'static str {
    match path.split_once("://") {
        Some(("s3", _)) => {
            "keys and region come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` and `AWS_ENDPOINT`; `AWS_SKIP_SIGNATURE=true` reads what is public"
        }
        Some(("gs", _)) => {
            "keys come from the file that `GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS` names; `GOOGLE_SKIP_SIGNATURE=true` reads what is public"
        }
        _ => "only what opens without a login is fetched",
    }
}
