//! What can go wrong with a model.

use std::path::PathBuf;

/// A base, adapter or device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("no model at `{path}`: {missing} is not there")]
    NotAModel {
        path: PathBuf,
        missing: &'static str,
    },
    #[error("`{path}` is not valid JSON: {source}")]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("`{path}`: `model_type` is `{found}`, which slm-tune cannot run (it runs {known})")]
    UnknownFamily {
        path: PathBuf,
        found: String,
        known: String,
    },
    #[error("`{path}`: `{key}` is {found}, needed {needed}")]
    Config {
        path: PathBuf,
        key: String,
        found: String,
        needed: String,
    },
    #[error("`{path}` is not a readable safetensors file: {reason}")]
    Safetensors { path: PathBuf, reason: String },
    #[error("`{path}` has no tensor `{name}`")]
    MissingTensor { path: PathBuf, name: String },
    #[error("tensor `{name}` of `{path}` has shape {found:?}, `config.json` needs {needed:?}")]
    Shape {
        path: PathBuf,
        name: String,
        found: Vec<usize>,
        needed: Vec<usize>,
    },
    #[error("`{path}` holds tensors that `config.json` has no place for: {names}")]
    Unexpected { path: PathBuf, names: String },
    #[error("tensor `{name}` of `{path}` has dtype {found}, needed F32, F16 or BF16")]
    Dtype {
        path: PathBuf,
        name: String,
        found: String,
    },
    #[error("`{name}` is not as compressed-tensors stores a matrix, in 4 or 8 bits and symmetric")]
    Compressed { name: String },
    #[error("`lora.{key}` names `{name}`, which the model does not have")]
    NoSuchModule {
        key: &'static str,
        name: String,
        known: Vec<String>,
    },
    #[error("{what}")]
    NothingToAdapt { what: &'static str },
    #[error("PiSSA starts from parts of the base's weights, and `{name}` is quantized")]
    QuantizedPissa { name: String },
    #[error("`{path}`: {what}")]
    Adapter { path: PathBuf, what: String },
    #[error("device `{spec}` is not known")]
    UnknownDevice { spec: String },
    #[error("device `{spec}` is not built into this slm-tune")]
    NotBuilt { spec: String },
    #[error("device `{spec}` is not there: {why}")]
    NoDevice { spec: String, why: String },
    #[error("no model at `{name}`, and {why}")]
    NotFound { name: String, why: String },
    #[error("failed to download `{name}`: {reason}")]
    Download { name: String, reason: String },
}

impl ModelError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotAModel {
                missing: "adapter_config.json",
                ..
            } => "an adapter in PEFT's format holds adapter_config.json and adapter_model.safetensors".into(),
            Self::NotAModel { .. } => {
                "a model folder in Hugging Face format holds config.json, tokenizer.json and model.safetensors".into()
            }
            Self::UnknownFamily { .. } => "choose a base of one of these families".into(),
            Self::Safetensors { .. } => "the file may be a partial download or a Git LFS pointer: fetch it again".into(),
            Self::Shape { .. } | Self::MissingTensor { .. } | Self::Unexpected { .. } => {
                "config.json and the weights may come from different models".into()
            }
            Self::NoSuchModule { key: "target_modules", known, .. } => {
                format!("its modules are {}, or \"all-linear\"", known.join(", "))
            }
            Self::NoSuchModule { known, .. } => format!("its modules are {}", known.join(", ")),
            Self::NothingToAdapt { .. } => "see `[lora]` of the recipe, or `adapter_config.json`".into(),
            Self::QuantizedPissa { .. } => {
                "set `model.quantization = \"none\"`, or start the adapter another way (`lora.init_lora_weights`)".into()
            }
            Self::UnknownDevice { .. } => "devices are auto, cpu, libtorch:cpu, libtorch:cuda:N, libtorch:mps".into(),
            Self::NotBuilt { .. } => {
                "build with `--features libtorch`, or set `model.device = \"cpu\"`; `slm-tune doctor` shows what is built".into()
            }
            Self::NoDevice { .. } => "`slm-tune doctor` shows the devices of this machine".into(),
            Self::NotFound { .. } => "give the path of a model folder, or a hub name such as `owner/name`".into(),
            Self::Download { .. } => {
                "check the name and the network, or download the model elsewhere and give its path".into()
            }
            _ => return None,
        };
        Some(hint)
    }
}
