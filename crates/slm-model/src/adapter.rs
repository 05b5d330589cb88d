//! LoRA adapters: put on a base, read and written in PEFT's format.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use slm_ops::Weight;
use slm_recipe::{InitLora, LoraSection};

use crate::linear::Linear;
use crate::lora::{Lora, TrainedNorms};
use crate::modules::{Modules, by_pattern, ends_with_module, layer_of};
use crate::weights::{matrix, write_safetensors};
use crate::{Decoder, ModelError, Param, WeightFile, adapter_config, pissa, random};

/// What an adapter is made of.
#[derive(Clone, Debug)]
pub struct LoraSpec {
    pub(crate) r: usize,
    pub(crate) alpha: f64,
    pub(crate) dropout: f64,
    pub(crate) targets: Modules,
    pub(crate) exclude: Modules,
    /// Numbers of the layers that get one; empty: all.
    pub(crate) layers: Vec<usize>,
    /// Ranks of their own, by pattern.
    pub(crate) ranks: BTreeMap<String, usize>,
    /// Alphas of their own, by pattern.
    pub(crate) alphas: BTreeMap<String, f64>,
    pub(crate) use_rslora: bool,
    pub(crate) use_dora: bool,
    /// Modules that are trained whole, in a copy that the adapter keeps.
    pub(crate) modules_to_save: Vec<String>,
    /// A tied head stays tied when its embedding is among `modules_to_save`.
    pub(crate) keep_tied: bool,
    pub(crate) init: InitLora,
    /// Iterations of PiSSA's search; 0: until it stands still.
    pub(crate) pissa_niter: usize,
}

impl Default for LoraSpec {
    fn default() -> Self {
        Self::from(&LoraSection::default())
    }
}

impl From<&LoraSection> for LoraSpec {
    fn from(section: &LoraSection) -> Self {
        Self {
            r: section.r,
            alpha: section.lora_alpha,
            dropout: section.lora_dropout,
            targets: Modules::from(&section.target_modules),
            exclude: Modules::Names(section.exclude_modules.clone()),
            layers: section.layers_to_transform.clone(),
            ranks: section.rank_pattern.clone(),
            alphas: section.alpha_pattern.clone(),
            use_rslora: section.use_rslora,
            use_dora: section.use_dora,
            modules_to_save: section.modules_to_save.clone(),
            keep_tied: true,
            init: section.init_lora_weights,
            pissa_niter: section.pissa_niter,
        }
    }
}

impl LoraSpec {
    /// Whether the linear layer at `path` gets a pair.
    pub(crate) fn adapts(&self, path: &str) -> bool {
        let in_layers = || layer_of(path).is_some_and(|layer| self.layers.contains(&layer));
        self.targets.holds(path)
            && !self.exclude.holds(path)
            && !self.keeps(path)
            && (self.layers.is_empty() || in_layers())
    }

    /// Whether the module at `path` is trained whole.
    pub(crate) fn keeps(&self, path: &str) -> bool {
        let mut names = self.modules_to_save.iter();
        names.any(|name| contains_module(path, name))
    }

    pub(crate) fn rank_of(&self, path: &str) -> usize {
        by_pattern(&self.ranks, path).copied().unwrap_or(self.r)
    }

    /// `alpha / r`, or `alpha / √r`.
    fn scale_of(&self, path: &str) -> f64 {
        let alpha = by_pattern(&self.alphas, path)
            .copied()
            .unwrap_or(self.alpha);
        let r = self.rank_of(path) as f64;
        if self.use_rslora {
            alpha / r.sqrt()
        } else {
            alpha / r
        }
    }
}

/// Whether `name` is a whole part, or several, of `path`.
fn contains_module(path: &str, name: &str) -> bool {
    format!(".{path}.").contains(&format!(".{name}."))
}

/// A tensor of an adapter by its name in PEFT's file, and its shape there.
type Values<'a> = &'a mut dyn FnMut(&str, &[usize]) -> Result<Vec<f32>, ModelError>;

impl Decoder {
    /// Puts a fresh adapter on the targets and marks it as trained; the base is frozen.
    ///
    /// A is uniform in ±1/√in (PEFT's `kaiming_uniform_(a=√5)`) or normal with deviation 1/r (`gaussian`), B is 0, so that
    /// the model does not change yet. PiSSA takes the base's principal parts, and counts what training changes in them.
    ///
    /// # Errors
    /// A target that no layer has; PiSSA on a quantized base.
    pub fn attach_lora(&mut self, spec: &LoraSpec, seed: u64) -> Result<(), ModelError> {
        self.ensure_modules(spec)?;
        self.ensure_patterns(spec)?;
        let device = self.device().clone();
        for linear in adapted(self, spec) {
            let path = linear.path().to_string();
            let [out, input] = linear.weight.value.dims();
            let (r, scale) = (spec.rank_of(&path), spec.scale_of(&path));
            let name = peft_name(&path, "lora_A.weight");
            let (a, b, start) = match spec.init {
                InitLora::Default | InitLora::Gaussian => {
                    let a = match spec.init {
                        InitLora::Gaussian => {
                            random::normal(seed, &name, r * input, 1.0 / r as f32)
                        }
                        _ => random::uniform(seed, &name, r * input, 1.0 / (input as f32).sqrt()),
                    };
                    let a = matrix(a, &[r, input], &device, DType::F32);
                    let b = Tensor::zeros([out, r], (&device, DType::F32));
                    (a, b, None)
                }
                InitLora::Pissa => {
                    let iterations = (spec.pissa_niter > 0).then_some(spec.pissa_niter);
                    let weight = whole(&linear.weight)?;
                    let (a, b) = pissa::principal_pair(weight, r, scale, iterations, seed, &name);
                    (a.clone(), b.clone(), Some((a, b)))
                }
            };
            let mut lora = Lora {
                a: Param::matrix(name, a),
                b: Param::matrix(peft_name(&path, "lora_B.weight"), b),
                scale,
                dropout: spec.dropout,
                magnitude: None,
                start,
            };
            if spec.use_dora {
                // B A is nothing yet, so the norms are those of the base.
                let base_squares = row_squares(linear);
                let norms = Param::vector(
                    peft_name(&path, "lora_magnitude_vector"),
                    base_squares.clone().sqrt(),
                );
                lora.magnitude = Some(TrainedNorms {
                    norms,
                    base_squares,
                });
            }
            linear.lora = Some(lora);
        }
        self.keep_copies(spec, &mut |_, _| Ok(Vec::new()))?;
        self.lora = Some(spec.clone());
        self.train_adapter();
        Ok(())
    }

    /// Marks the adapter as trained.
    pub fn train_adapter(&mut self) {
        let copies = self.base_mut().into_iter().filter(|p| p.is_copy());
        copies.for_each(Param::train);
        let pairs = self.linears_mut().filter_map(|l| l.lora.as_mut());
        pairs.flat_map(Lora::params_mut).for_each(Param::train);
    }

    /// Reads a PEFT adapter folder and puts it on this model, not trained.
    ///
    /// # Errors
    /// Files missing or broken, an adapter kind that is not supported, tensors that do not fit.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<(), ModelError> {
        let spec = read_spec(dir)?;
        let file = WeightFile::open(&dir.join("adapter_model.safetensors"))?;
        let mut used = 0;
        self.place_adapter(&spec, &mut |name, shape| {
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
            Ok(values)
        })?;
        used += usize::from(self.repeats_tied_copy(&spec, &file)?);
        let held = file.names().len();
        if held != used {
            let what = format!("it holds {held} tensors, this model has places for {used} of them");
            return Err(ModelError::Adapter {
                path: file.path().into(),
                what,
            });
        }
        Ok(())
    }

    /// Whether the file holds the copy of a tied weight a second time, as the head: PEFT writes both.
    fn repeats_tied_copy(&self, spec: &LoraSpec, file: &WeightFile) -> Result<bool, ModelError> {
        let (config, params) = (self.config(), self.params());
        let head = format!("base_model.model.{}.weight", config.family.names.head);
        let tied = spec.keep_tied && config.tie_word_embeddings;
        if !tied || !params[0].is_copy() || !file.names().contains(&head) {
            return Ok(false);
        }
        if file.read(&head)?.1 == params[0].file_values() {
            return Ok(true);
        }
        let what = format!("`{head}` differs from the embedding that it is tied to");
        Err(ModelError::Adapter {
            path: file.path().into(),
            what,
        })
    }

    fn place_adapter(&mut self, spec: &LoraSpec, values: Values<'_>) -> Result<(), ModelError> {
        self.ensure_modules(spec)?;
        let device = self.device().clone();
        for linear in adapted(self, spec) {
            let path = linear.path().to_string();
            let [out, input] = linear.weight.value.dims();
            let r = spec.rank_of(&path);
            let mut param = |part: &str, shape: [usize; 2]| {
                let name = peft_name(&path, part);
                let values = values(&name, &shape)?;
                let value = matrix(values, &shape, &device, DType::F32);
                Ok::<_, ModelError>(Param::matrix(name, value))
            };
            let (a, b) = (
                param("lora_A.weight", [r, input])?,
                param("lora_B.weight", [out, r])?,
            );
            // PEFT took the principal part out of the base before it trained.
            let start = match spec.init {
                InitLora::Pissa => {
                    let weight = whole(&linear.weight)?;
                    let niter = (spec.pissa_niter > 0).then_some(spec.pissa_niter);
                    let pair =
                        pissa::principal_pair(weight, r, spec.scale_of(&path), niter, 0, &path);
                    Some(pair)
                }
                InitLora::Default | InitLora::Gaussian => None,
            };
            let magnitude = match spec.use_dora {
                false => None,
                true => {
                    let name = peft_name(&path, "lora_magnitude_vector");
                    let norms = matrix(values(&name, &[out])?, &[out], &device, DType::F32);
                    Some(TrainedNorms {
                        norms: Param::vector(name, norms),
                        base_squares: row_squares(linear),
                    })
                }
            };
            linear.lora = Some(Lora {
                a,
                b,
                scale: spec.scale_of(&path),
                dropout: spec.dropout,
                magnitude,
                start,
            });
        }
        self.keep_copies(spec, values)?;
        self.lora = Some(spec.clone());
        Ok(())
    }

    /// Gives the adapter copies of `modules_to_save`; no values leave a copy as the base has it.
    fn keep_copies(&mut self, spec: &LoraSpec, values: Values<'_>) -> Result<(), ModelError> {
        let saves = |path: &str| {
            spec.modules_to_save
                .iter()
                .any(|name| ends_with_module(path, name))
        };
        let head = self.config().family.names.head;
        let embed = self.config().family.names.embed;
        let touches_tied = saves(head) || saves(embed);
        if self.config().tie_word_embeddings && touches_tied && !spec.keep_tied {
            self.untie();
        }
        let tied = self.config().tie_word_embeddings;
        let device: Device = self.device().clone();
        for param in self.base_mut() {
            let module = param.module().to_string();
            // One weight serves both ends of a tied model, whichever of the two is named.
            if !(saves(&module) || tied && touches_tied && module == embed) {
                continue;
            }
            param.keep_copy();
            let shape = param.file_shape();
            let found = values(&format!("base_model.model.{}", param.name), &shape)?;
            if !found.is_empty() {
                let dtype = param.value.dtype();
                param.set(param.value_of(found, &device, dtype));
            }
        }
        Ok(())
    }

    /// Every pattern is one, and matches a module that is adapted.
    fn ensure_patterns(&mut self, spec: &LoraSpec) -> Result<(), ModelError> {
        let paths: Vec<String> = adapted(self, spec).map(|l| l.path().to_string()).collect();
        let ranks = spec.ranks.keys().map(|pattern| ("rank_pattern", pattern));
        let alphas = spec.alphas.keys().map(|pattern| ("alpha_pattern", pattern));
        for (key, pattern) in ranks.chain(alphas) {
            let matches = |path: &String| by_pattern([(pattern, ())], path).is_some();
            if !paths.iter().any(matches) {
                return Err(ModelError::NoSuchModule {
                    key,
                    name: pattern.clone(),
                    known: last_parts(&paths),
                });
            }
        }
        Ok(())
    }

    fn ensure_modules(&mut self, spec: &LoraSpec) -> Result<(), ModelError> {
        let paths: Vec<String> = self.linears_mut().map(|l| l.path().to_string()).collect();
        let mut all: Vec<String> = self
            .params()
            .iter()
            .map(|p| p.module().to_string())
            .collect();
        all.push(self.config().family.names.head.to_string());
        let unknown = |key: &'static str, name: &str, among: &[String]| ModelError::NoSuchModule {
            key,
            name: name.into(),
            known: last_parts(among),
        };
        if let Some(name) = spec.targets.unused(&paths) {
            return Err(unknown("target_modules", name, &paths));
        }
        let saved = Modules::Names(spec.modules_to_save.clone());
        if let Some(name) = saved.unused(&all) {
            return Err(unknown("modules_to_save", name, &all));
        }
        if !paths.iter().any(|path| spec.adapts(path)) {
            let what = "`exclude_modules`, `layers_to_transform` and `modules_to_save` leave nothing to adapt";
            return Err(ModelError::NothingToAdapt { what });
        }
        Ok(())
    }
}

/// The linear layers that get a pair.
fn adapted<'a>(
    decoder: &'a mut Decoder,
    spec: &'a LoraSpec,
) -> impl Iterator<Item = &'a mut Linear> {
    decoder
        .linears_mut()
        .filter(|linear| spec.adapts(linear.path()))
}

fn peft_name(path: &str, part: &str) -> String {
    format!("base_model.model.{path}.{part}")
}

/// The weight that PiSSA takes apart; PEFT wants it in floats as well.
fn whole(weight: &Param) -> Result<Tensor<2>, ModelError> {
    match &weight.value {
        Weight::Float(weight) => Ok(weight.clone().inner()),
        Weight::Quantized(_) | Weight::Blocks(_) => Err(ModelError::QuantizedPissa {
            name: weight.name.clone(),
        }),
    }
}

/// Squared norms of the rows of the weight: `[1, out]`, f32.
fn row_squares(linear: &Linear) -> Tensor<2> {
    linear.weight.value.f32().square().sum_dim(1).transpose()
}

/// The distinct names at the end of paths, in their order.
fn last_parts(paths: &[String]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for path in paths {
        let last = path.rsplit('.').next().unwrap_or(path);
        if !parts.iter().any(|part| part == last) {
            parts.push(last.into());
        }
    }
    parts
}

/// What the adapter in `dir` is made of.
fn read_spec(dir: &Path) -> Result<LoraSpec, ModelError> {
    let path = dir.join("adapter_config.json");
    if !path.is_file() {
        return Err(ModelError::NotAModel {
            path: dir.into(),
            missing: "adapter_config.json",
        });
    }
    let text = fs_err::read_to_string(&path)?;
    let config = serde_json::from_str(&text).map_err(|source| ModelError::Json {
        path: path.clone(),
        source,
    })?;
    adapter_config::read(&config).map_err(|what| ModelError::Adapter { path, what })
}

/// Writes the adapter as PEFT reads it: `adapter_config.json` and `adapter_model.safetensors`, the latter with `metadata`.
///
/// # Errors
/// The model has no adapter, or the files cannot be written.
pub fn save_adapter(
    decoder: &Decoder,
    base_model: &str,
    dir: &Path,
    metadata: &[(&str, &str)],
) -> Result<(), ModelError> {
    let Some(spec) = &decoder.lora else {
        return Err(ModelError::Adapter {
            path: dir.into(),
            what: "the model has no adapter".into(),
        });
    };
    let transposed = decoder.config().family.names.transposed;
    let mut spec = spec.clone();
    if matches!(spec.targets, Modules::AllLinear) {
        // Names serve readers that know no presets.
        let linears = decoder.layers.iter().flat_map(|layer| layer.linears());
        let paths: Vec<String> = linears.map(|linear| linear.path().into()).collect();
        spec.targets = Modules::Names(last_parts(&paths));
    }
    let mut params = Vec::new();
    for lora in decoder
        .layers
        .iter()
        .flat_map(|l| l.linears())
        .filter_map(|l| l.lora.as_ref())
    {
        let (a, b) = lora.detached().pair();
        params.push(Param::matrix(lora.a.name.clone(), a));
        params.push(Param::matrix(lora.b.name.clone(), b));
        params.extend(lora.magnitude.iter().map(|m| m.norms.clone()));
    }
    for copy in decoder.params().into_iter().filter(|p| p.is_copy()) {
        let name = format!("base_model.model.{}", copy.name);
        params.push(Param {
            name,
            ..copy.clone()
        });
    }
    if spec.keep_tied && decoder.config().tie_word_embeddings {
        // PEFT ties the head to the embedding's copy by itself.
        let names = &decoder.config().family.names;
        let of = |end: &str| end.rsplit('.').next().unwrap_or(end).to_string();
        let (head, embed) = (of(names.head), of(names.embed));
        if spec.modules_to_save.contains(&head) && !spec.modules_to_save.contains(&embed) {
            spec.modules_to_save.push(embed);
        }
        spec.modules_to_save.retain(|name| *name != head);
    }
    spec.keep_tied &= decoder.config().tie_word_embeddings && !spec.modules_to_save.is_empty();
    let config = adapter_config::write(&spec, base_model, transposed);
    fs_err::create_dir_all(dir)?;
    fs_err::write(dir.join("adapter_config.json"), format!("{config:#}\n"))?;
    write_safetensors(&dir.join("adapter_model.safetensors"), &params, metadata)
}
