//! The rotary encoding as `config.json` spells it: transformers 5's `rope_parameters`, or transformers 4's `rope_theta`
//! with `rope_scaling`.

use crate::ModelError;
use crate::keys::Keys;
use crate::rope::{Rope, RopeScaling};

/// The keys of a config that are read here.
pub(crate) const ROPE_KEYS: &[&str] = &[
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "partial_rotary_factor",
    "original_max_position_embeddings",
];

/// The keys of the inner object that are read here.
const INNER_KEYS: &[&str] = &[
    "rope_type",
    "type",
    "rope_theta",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "attention_factor",
    "short_factor",
    "long_factor",
    "partial_rotary_factor",
];

/// Reads a model's rotary encoding. `layer_type` picks one where transformers 5 writes one per kind of layer.
pub(crate) fn read_rope(
    keys: &Keys,
    head_dim: usize,
    default_theta: f64,
    layer_type: Option<&str>,
) -> Result<Rope, ModelError> {
    let inner = match keys.section("rope_parameters")? {
        Some(all) => match layer_type.filter(|kind| all.get(kind).is_some()) {
            Some(kind) => all.section(kind)?,
            None => Some(all),
        },
        None => keys.section("rope_scaling")?,
    };
    let theta = keys.number_or("rope_theta", default_theta)?;
    let partial = keys.number_or("partial_rotary_factor", 1.0)?;
    let Some(inner) = inner else {
        return Ok(Rope {
            theta,
            dim: rotated(keys, head_dim, partial)?,
            scaling: RopeScaling::None,
        });
    };
    inner.refuse_others(&[INNER_KEYS])?;
    let partial = inner.number_or("partial_rotary_factor", partial)?;
    let dim = rotated(keys, head_dim, partial)?;
    Ok(Rope {
        theta: inner.number_or("rope_theta", theta)?,
        dim,
        scaling: read_scaling(keys, &inner, dim)?,
    })
}

/// How many channels of a head are rotated.
fn rotated(keys: &Keys, head_dim: usize, partial: f64) -> Result<usize, ModelError> {
    let dim = (head_dim as f64 * partial) as usize;
    if dim > 0 && dim <= head_dim && dim.is_multiple_of(2) {
        return Ok(dim);
    }
    let found = format!("{partial}, {dim} of {head_dim} channels");
    Err(keys.wrong("partial_rotary_factor", found, "an even number of channels"))
}

fn read_scaling(keys: &Keys, inner: &Keys, dim: usize) -> Result<RopeScaling, ModelError> {
    let kind = match inner.text("rope_type")? {
        Some(kind) => kind,
        None => inner.text("type")?.unwrap_or("default"),
    };
    let context = || match inner.number("original_max_position_embeddings")? {
        Some(context) => Ok(context),
        None => keys.number_or(
            "original_max_position_embeddings",
            keys.size("max_position_embeddings")? as f64,
        ),
    };
    Ok(match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: inner.required_number("factor")?,
        },
        "dynamic" => RopeScaling::Dynamic {
            factor: inner.required_number("factor")?,
            max_position_embeddings: match inner.number("original_max_position_embeddings")? {
                Some(trained) => trained,
                None => keys.size("max_position_embeddings")? as f64,
            },
        },
        "llama3" => RopeScaling::Llama3 {
            factor: inner.required_number("factor")?,
            low_freq_factor: inner.required_number("low_freq_factor")?,
            high_freq_factor: inner.required_number("high_freq_factor")?,
            original_max_position_embeddings: inner
                .required_number("original_max_position_embeddings")?,
        },
        "yarn" => read_yarn(inner, context()?)?,
        "longrope" | "su" => {
            let original = context()?;
            let factor = keys.size("max_position_embeddings")? as f64 / original;
            let by_length = match factor > 1.0 {
                true => (1.0 + factor.ln() / original.ln()).sqrt(),
                false => 1.0,
            };
            RopeScaling::LongRope {
                short_factor: inner.numbers("short_factor", dim / 2)?,
                long_factor: inner.numbers("long_factor", dim / 2)?,
                attention_factor: inner.number_or("attention_factor", by_length)?,
                original_max_position_embeddings: original,
            }
        }
        other => {
            let needed = "default, linear, dynamic, llama3, yarn or longrope";
            return Err(inner.wrong("rope_type", format!("`{other}`"), needed));
        }
    })
}

fn read_yarn(inner: &Keys, original: f64) -> Result<RopeScaling, ModelError> {
    let factor = inner.required_number("factor")?;
    let temperature = |mscale: f64| match factor > 1.0 {
        true => 0.1 * mscale * factor.ln() + 1.0,
        false => 1.0,
    };
    let by_factor = match (inner.number("mscale")?, inner.number("mscale_all_dim")?) {
        (Some(mscale), Some(all)) if mscale != 0.0 && all != 0.0 => {
            temperature(mscale) / temperature(all)
        }
        _ => temperature(1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        beta_fast: inner.number_or("beta_fast", 32.0)?,
        beta_slow: inner.number_or("beta_slow", 1.0)?,
        truncate: inner.flag("truncate", true)?,
        attention_factor: inner.number_or("attention_factor", by_factor)?,
        original_max_position_embeddings: original,
    })
}
