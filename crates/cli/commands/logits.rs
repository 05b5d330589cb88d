//! `slm-tune logits`: what a model says of given tokens, for comparison with other tools.

use std::{io::Write, path::Path};

use anyhow::{Context, Result};
use serde_json::json;
use slm_export::{open_gguf, read_gguf_tokenizer};
use slm_model::{Decoder, device, locate, sequence_logits, write_values};
use slm_text::ChatTokenizer;

use crate::{
    args::LogitsArguments, failure::refuse, speaker::is_gguf, table::Table, terminal::Terminal,
    tokens::visible,
};

/// Tokens that are listed for the last position.
const LISTED: usize = 10;

pub(crate) fn run(arguments: LogitsArguments, terminal: &mut Terminal) -> Result<()> {
    let device = device::open(&arguments.device)?;
    let file = Path::new(&arguments.model);
    let (tokenizer, mut decoder) = if is_gguf(file) {
        (Some(read_gguf_tokenizer(file)?), open_gguf(file, &device)?)
    } else {
        let folder = locate(&arguments.model, None, terminal.offline)?;
        let tokenizer = tokenizer(&folder, &arguments)?;
        let decoder = Decoder::load(&folder, &device, arguments.dtype.into())
            .with_context(|| format!("failed to load `{}`", arguments.model))?;
        (tokenizer, decoder)
    };
    let ids = ids(&arguments, tokenizer.as_ref())?;
    if let Some(adapter) = &arguments.adapter {
        decoder
            .load_adapter(adapter)
            .with_context(|| format!("failed to load the adapter `{}`", adapter.display()))?;
    }
    ensure_readable(&ids, &decoder)?;

    let vocab_size = decoder.config().vocab_size;
    let logits = sequence_logits(&decoder, &ids);
    if let Some(path) = &arguments.out {
        let shape = vec![1, ids.len(), vocab_size];
        write_values(path, &[("logits".into(), shape, logits.clone())], &[])?;
    }
    let rows: Vec<&[f32]> = logits.chunks(vocab_size).collect();
    let losses = rows
        .iter()
        .zip(&ids[1..])
        .map(|(row, &next)| nll(row, next));
    let mean_loss = losses.clone().sum::<f64>() / losses.len() as f64; // NaN for a single token: there is no loss
    let top = top(rows[rows.len() - 1]);
    let text = |id: u32| tokenizer.as_ref().map(|tokenizer| tokenizer.token(id));
    if arguments.output.json {
        let top: Vec<_> = (top.iter())
            .map(|&(id, logit, p)| json!({"id": id, "text": text(id), "logit": logit, "probability": p}))
            .collect();
        return terminal.json(&json!({
            "ids": ids,
            "mean_loss": (ids.len() > 1).then_some(mean_loss),
            "top": top,
            "out": arguments.out,
        }));
    }
    let mut table = Table::new(&["id", "logit", "probability", "token"]).right(&[0, 1, 2]);
    for (id, logit, p) in top {
        let shown = text(id).map_or_else(String::new, |text| visible(&text));
        table.row([
            id.to_string(),
            format!("{logit:.6}"),
            format!("{p:.6}"),
            shown,
        ]);
    }
    table.write(&mut terminal.out)?;
    match ids.len() {
        1 => writeln!(terminal.out, "\nmean loss: none, of 1 token")?,
        n => writeln!(
            terminal.out,
            "\nmean loss: {mean_loss:.6} nats over {} of {n} tokens",
            n - 1
        )?,
    }
    if let Some(path) = &arguments.out {
        writeln!(
            terminal.out,
            "wrote `{}`: `logits` [1, {}, {vocab_size}], F32",
            path.display(),
            ids.len()
        )?;
    }
    Ok(())
}

/// The tokenizer beside the model; ids alone do without.
fn tokenizer(folder: &Path, arguments: &LogitsArguments) -> Result<Option<ChatTokenizer>> {
    match arguments.text.is_none() && !folder.join("tokenizer.json").exists() {
        true => Ok(None),
        false => Ok(Some(ChatTokenizer::load(folder, "auto")?)),
    }
}

fn ids(arguments: &LogitsArguments, tokenizer: Option<&ChatTokenizer>) -> Result<Vec<u32>> {
    let ids = match (&arguments.text, tokenizer) {
        (Some(text), Some(tokenizer)) => tokenizer.encode(text, true)?,
        _ => arguments.ids.clone(),
    };
    if ids.is_empty() {
        let hint = "give a text that holds at least one token";
        return Err(refuse("there is no token to read", hint));
    }
    Ok(ids)
}

fn ensure_readable(ids: &[u32], decoder: &Decoder) -> Result<()> {
    let config = decoder.config();
    if let Some(id) = ids.iter().find(|&&id| id as usize >= config.vocab_size) {
        return Err(refuse(
            format!(
                "id {id} is not in the vocabulary of {} tokens",
                config.vocab_size
            ),
            format!("ids are 0 to {}", config.vocab_size - 1),
        ));
    }
    let limit = config.max_position_embeddings;
    if config.ropes.is_empty() && ids.len() > limit {
        return Err(refuse(
            format!(
                "there are {} tokens, and the model has {limit} positions",
                ids.len()
            ),
            "give fewer tokens",
        ));
    }
    Ok(())
}

/// −ln p of `next`, in nats.
fn nll(logits: &[f32], next: u32) -> f64 {
    ln_sum_exp(logits) - f64::from(logits[next as usize])
}

fn ln_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|l| f64::from(l - largest).exp()).sum();
    f64::from(largest) + sum.ln()
}

/// The likeliest tokens with their logits and probabilities.
fn top(logits: &[f32]) -> Vec<(u32, f32, f64)> {
    let total = ln_sum_exp(logits);
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    let listed = order.into_iter().take(LISTED);
    listed
        .map(|id| (id as u32, logits[id], (f64::from(logits[id]) - total).exp()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_probabilities_of_two_tokens() {
        let logits = [0.0, 3f32.ln()]; // probabilities 1/4 and 3/4
        assert!((nll(&logits, 0) - 4f64.ln()).abs() < 1e-6);
        let top = top(&logits);
        assert_eq!(top[0].0, 1);
        assert!((top[0].2 - 0.75).abs() < 1e-6);
    }
}
