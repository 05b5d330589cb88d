/// What keeps an object of a store from being read.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "the message of each variant says what its fields are"
)]
pub enum ObjectError {
    #[error("`{path}` is an object of a store, and this build of slm-tune reads files only")]
    NotBuilt { path: String },
    #[error("`{path}` cannot be fetched: {reason}")]
    Failed { path: String, reason: String },
    #[error(
        "the address of `{path}` has a user, a query or a fragment, which may hold a key and would be kept"
    )]
    Secret { path: String },
}

impl ObjectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let path = match self {
            Self::NotBuilt { path } | Self::Failed { path, .. } | Self::Secret { path } => path,
        };
        let copy = match path.split_once("://") {
            Some(("s3", _)) => format!("`aws s3 cp {path} .`"),
            Some(("gs", _)) => format!("`gcloud storage cp {path} .`"),
            _ => format!("`curl -LO {path}`"),
        };
        let environment = match path.split_once("://") {
            Some(("s3", _)) => {
                "keys and region come from `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` and `AWS_ENDPOINT`; `AWS_SKIP_SIGNATURE=true` reads what is public"
            }
            Some(("gs", _)) => {
                "keys come from the file that `GOOGLE_SERVICE_ACCOUNT` or `GOOGLE_APPLICATION_CREDENTIALS` names; `GOOGLE_SKIP_SIGNATURE=true` reads what is public"
            }
            _ => "only what opens without a login is fetched",
        };
        match self {
            Self::NotBuilt { .. } => {
                format!(
                    "copy it first ({copy}), or build with `cargo build --release --features cloud`"
                )
            }
            Self::Failed { .. } => format!("{environment}; or copy it first: {copy}"),
            Self::Secret { .. } => {
                "copy it first with a tool that knows the whole address, and name the file".into()
            }
        }
    }
}
