//! LoRA adapters in PEFT's format.

use std::path::Path;

use burn::tensor::DType;
use serde_json::{Value, json};
use slm_recipe::{LoraSection, TargetModules};

use crate::layer::LINEAR_NAMES;
use crate::linear::Lora;
use crate::weights::{WeightFile, matrix, write_safetensors};
use crate::{Decoder, ModelError, Param, random};

/// What an adapter is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraSpec {
    pub r: usize,
    pub alpha: f64,
    pub dropout: f64,
    /// Names of linear layers, such as `q_proj`.
    pub targets: Vec<String>,
}

impl From<&LoraSection> for LoraSpec {
    fn from(section: &LoraSection) -> Self {
        let targets = match &section.target_modules {
            TargetModules::AllLinear => LINEAR_NAMES.map(String::from).into(),
            TargetModules::Names(names) => names.clone(),
        };
        Self {
            r: section.r,
            alpha: section.lora_alpha,
            dropout: section.lora_dropout,
            targets,
        }
    }
}

impl Decoder {
    /// Puts a fresh adapter on the targets and marks it as trained; the base is frozen.
    ///
    /// A is uniform in ±1/√in (PEFT's `kaiming_uniform_(a=√5)`), B is 0, so that the model does not change yet.
    ///
    /// # Errors
    /// A target that no layer has.
    pub fn attach_lora(&mut self, spec: &LoraSpec, seed: u64) -> Result<(), ModelError> {
        self.attach(spec, |name, [_, input]| {
            let bound = 1.0 / (input as f32).sqrt();
            Ok(if name.contains("lora_A") {
                Some(random::uniform(seed, name, spec.r * input, bound))
            } else {
                None
            })
        })?;
        self.train_adapter();
        Ok(())
    }

    /// Marks the adapter as trained.
    pub fn train_adapter(&mut self) {
        self.lora_all_mut().for_each(Param::train);
    }

    /// Reads a PEFT adapter folder and puts it on this model, not trained.
    ///
    /// # Errors
    /// Files missing or broken, an adapter kind that is not plain LoRA, tensors that do not fit.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<(), ModelError> {
        let config_path = dir.join("adapter_config.json");
        if !config_path.is_file() {
            return Err(ModelError::NotAModel {
                path: dir.into(),
                missing: "adapter_config.json",
            });
        }
        let text = fs_err::read_to_string(&config_path)?;
        let config: Value = serde_json::from_str(&text).map_err(|source| ModelError::Json {
            path: config_path.clone(),
            source,
        })?;
        let spec = read_spec(&config).map_err(|what| ModelError::Adapter {
            path: config_path,
            what,
        })?;
        let file = WeightFile::open(&dir.join("adapter_model.safetensors"))?;
        let mut used = 0;
        self.attach(&spec, |name, shape| {
            let (found, values) = file.read(name)?;
            used += 1;
            if found != shape {
                let (path, name) = (file.path().into(), name.into());
                return Err(ModelError::Shape {
                    path,
                    name,
                    found,
                    needed: shape.to_vec(),
                });
            }
            Ok(Some(values))
        })?;
        let held = file.names()?.len();
        if held != used {
            let what = format!("it holds {held} tensors, this model has places for {used} of them");
            return Err(ModelError::Adapter {
                path: file.path().into(),
                what,
            });
        }
        Ok(())
    }

    /// Adds the pairs; `values(name, shape)` gives a tensor's values, `None` for zeros.
    fn attach(
        &mut self,
        spec: &LoraSpec,
        mut values: impl FnMut(&str, [usize; 2]) -> Result<Option<Vec<f32>>, ModelError>,
    ) -> Result<(), ModelError> {
        if let Some(name) = spec
            .targets
            .iter()
            .find(|t| !LINEAR_NAMES.contains(&t.as_str()))
        {
            return Err(ModelError::NoSuchModule {
                name: name.clone(),
                known: LINEAR_NAMES.into(),
            });
        }
        let device = self.device().clone();
        for (_, linear) in self
            .linears_mut()
            .filter(|(name, _)| spec.targets.iter().any(|t| t == name))
        {
            let [out, input] = linear.weight.value.dims();
            let path = linear.weight.name.trim_end_matches(".weight").to_string();
            let mut param = |part: &str, shape: [usize; 2]| -> Result<Param, ModelError> {
                let name = format!("base_model.model.{path}.{part}.weight");
                let filled =
                    values(&name, shape)?.unwrap_or_else(|| vec![0.0; shape[0] * shape[1]]);
                Ok(Param::matrix(
                    name,
                    matrix(filled, &shape, &device, DType::F32),
                ))
            };
            let (a, b) = (
                param("lora_A", [spec.r, input])?,
                param("lora_B", [out, spec.r])?,
            );
            linear.lora = Some(Lora {
                a,
                b,
                scale: spec.alpha / spec.r as f64,
                dropout: spec.dropout,
            });
        }
        self.lora = Some(spec.clone());
        Ok(())
    }

    fn lora_all_mut(&mut self) -> impl Iterator<Item = &mut Param> {
        self.linears_mut()
            .filter_map(|(_, l)| l.lora.as_mut())
            .flat_map(|lora| [&mut lora.a, &mut lora.b])
    }
}

/// Reads the keys of `adapter_config.json` that decide what the adapter computes; refuses kinds that are not plain LoRA.
fn read_spec(config: &Value) -> Result<LoraSpec, String> {
    if config["peft_type"].as_str() != Some("LORA") {
        return Err(format!(
            "`peft_type` is {}, needed \"LORA\"",
            config["peft_type"]
        ));
    }
    for key in ["use_dora", "use_rslora", "fan_in_fan_out", "lora_bias"] {
        if config[key].as_bool() == Some(true) {
            return Err(format!("`{key}` is true, which is not supported"));
        }
    }
    for key in ["rank_pattern", "alpha_pattern"] {
        if config[key].as_object().is_some_and(|map| !map.is_empty()) {
            return Err(format!("`{key}` is not empty, which is not supported"));
        }
    }
    for key in [
        "modules_to_save",
        "layers_to_transform",
        "layer_replication",
        "target_parameters",
    ] {
        if config[key].as_array().is_some_and(|list| !list.is_empty()) {
            return Err(format!("`{key}` is set, which is not supported"));
        }
    }
    let number = |key: &str| {
        config[key]
            .as_f64()
            .ok_or_else(|| format!("`{key}` is {}, needed a number", config[key]))
    };
    let targets = match &config["target_modules"] {
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .map(String::from)
            .collect(),
        Value::String(preset) if preset == "all-linear" => LINEAR_NAMES.map(String::from).into(),
        other => {
            return Err(format!(
                "`target_modules` is {other}, needed a list of layer names"
            ));
        }
    };
    let dropout = config["lora_dropout"].as_f64().unwrap_or(0.0);
    Ok(LoraSpec {
        r: number("r")? as usize,
        alpha: number("lora_alpha")?,
        dropout,
        targets,
    })
}

/// Writes the adapter as PEFT reads it: `adapter_config.json` and `adapter_model.safetensors`.
///
/// # Errors
/// The model has no adapter, or the files cannot be written.
pub fn save_adapter(decoder: &Decoder, base_model: &str, dir: &Path) -> Result<(), ModelError> {
    let Some(spec) = &decoder.lora else {
        return Err(ModelError::Adapter {
            path: dir.into(),
            what: "the model has no adapter".into(),
        });
    };
    let alpha = if spec.alpha.fract() == 0.0 {
        json!(spec.alpha as i64)
    } else {
        json!(spec.alpha)
    };
    let mut targets = spec.targets.clone();
    targets.sort();
    let config = json!({
        "auto_mapping": null,
        "base_model_name_or_path": base_model,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "lora_alpha": alpha,
        "lora_dropout": spec.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": spec.r,
        "rank_pattern": {},
        "alpha_pattern": {},
        "revision": null,
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": false,
    });
    fs_err::create_dir_all(dir)?;
    fs_err::write(dir.join("adapter_config.json"), format!("{config:#}\n"))?;
    write_safetensors(
        &dir.join("adapter_model.safetensors"),
        decoder.lora_params(),
    )
}
