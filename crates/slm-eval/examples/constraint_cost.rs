//! What a constraint costs a token, beside the step of the model that it is for.
//!
//!     cargo run --release -p slm-eval --example constraint_cost -- MODEL LABELS SCHEMA
//!
//! MODEL is a folder in Hugging Face format, LABELS a file with a label a line, SCHEMA a JSON schema. Prints a line of JSON:
//! the median time of a step without constraint (one row, greedy, behind a prompt of 64 tokens), then for each of the
//! two grammars the time until the first answer can begin, and the median over the tokens of 50 random answers of saying which
//! tokens are allowed, whether the answer may end, and taking one. The first answers warm the automaton up and count.

#![expect(clippy::print_stdout, reason = "the figures are to be read")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use slm_grammar::{Grammar, GrammarError, Vocabulary};
use slm_model::{Decoder, Sampling, device, generate};
use slm_recipe::Dtype;
use slm_text::ChatTokenizer;

/// Random answers that are written in each grammar.
const ANSWERS: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, labels, schema] = arguments.as_slice() else {
        return Err("needs MODEL LABELS SCHEMA".into());
    };
    let tokenizer = ChatTokenizer::load(Path::new(model), "auto")?;
    let began = Instant::now();
    let vocabulary = Vocabulary::new(tokenizer.token_bytes()?)?;
    let vocabulary_ms = began.elapsed().as_secs_f64() * 1e3;
    let labels = std::fs::read_to_string(labels)?;
    let labels: Vec<&str> = labels
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let schema = serde_json::from_slice(&std::fs::read(schema)?)?;
    let step_us = step(Path::new(model))?;
    let of_labels = cost("labels", &Grammar::labels(&labels)?, &vocabulary)?;
    let of_schema = cost("schema", &Grammar::json_schema(&schema)?, &vocabulary)?;
    println!(
        "{{\"vocabulary\": {}, \"vocabulary_ms\": {vocabulary_ms:.1}, \"step_us\": {step_us:.1}, \"labels\": {}, {of_labels}, {of_schema}}}",
        vocabulary.len(),
        labels.len(),
    );
    Ok(())
}

/// The median time of a token without constraint, in microseconds.
fn step(model: &Path) -> Result<f64, Box<dyn Error>> {
    let decoder = Decoder::load(model, &device::open("cpu")?, Dtype::F32)?;
    let vocab = decoder.config().vocab_size as u32;
    let prompt: Vec<u32> = (0..64).map(|i| (i * 7919 + 11) % vocab).collect();
    let sampling = Sampling {
        max_new_tokens: 256,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop_ids: Vec::new(),
    };
    let mut last = None;
    let mut times = Vec::new();
    generate(&decoder, &[prompt], &sampling, &mut |_, _| {
        let now = Instant::now();
        times.extend(
            last.replace(now)
                .map(|last| now.duration_since(last).as_secs_f64() * 1e6),
        );
        true
    });
    Ok(median(times))
}

/// The figures of one grammar, as the inside of a JSON object.
fn cost(what: &str, grammar: &Grammar, vocabulary: &Vocabulary) -> Result<String, GrammarError> {
    let began = Instant::now();
    let fresh = grammar.over(vocabulary)?;
    let compile_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut times = Vec::new();
    // A linear congruential generator (Knuth, MMIX), so that every run writes the same.
    let mut drawn = 1u64;
    for _ in 0..ANSWERS {
        let mut row = fresh.clone();
        for _ in 0..64 {
            let began = Instant::now();
            let mut allowed = Vec::new();
            row.for_each_allowed(|id| allowed.push(id))?;
            let may_end = row.may_end()?;
            drawn = drawn
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let pick = (drawn >> 33) as usize;
            if allowed.is_empty() || (may_end && pick.is_multiple_of(4)) {
                break;
            }
            row.advance(allowed[pick % allowed.len()])?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    let (tokens, mean_us) = (times.len(), times.iter().sum::<f64>() / times.len() as f64);
    Ok(format!(
        "\"{what}_compile_ms\": {compile_ms:.1}, \"{what}_tokens\": {tokens}, \"{what}_median_us\": {:.1}, \"{what}_mean_us\": {mean_us:.1}",
        median(times)
    ))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
