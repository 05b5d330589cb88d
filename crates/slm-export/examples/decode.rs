//! Speed of a GGUF file on the processor: a prompt, then tokens one by one.
//!
//!     cargo run --release -p slm-export --example decode -- FILE PROMPT_TOKENS NEW_TOKENS
//!
//! `RAYON_NUM_THREADS` says how many threads. Prints a line of JSON;
//! tests/peers/llama_decode.py puts it beside llama.cpp's.

#![expect(clippy::print_stdout, reason = "the figures are to be read")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use slm_model::{Sampling, device, generate};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, prompt, new] = arguments.as_slice() else {
        return Err("needs FILE PROMPT_TOKENS NEW_TOKENS".into());
    };
    let (prompt, new): (u32, usize) = (prompt.parse()?, new.parse()?);
    let device = device::open("cpu")?;
    let decoder = slm_export::open_gguf(Path::new(file), &device)?;
    let vocab = decoder.config().vocab_size as u32;
    let ids: Vec<u32> = (0..prompt).map(|i| (i * 7919 + 11) % vocab).collect();
    let sampling = Sampling {
        max_new_tokens: new + 1,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        stop_ids: Vec::new(),
    };
    let began = Instant::now();
    let mut times = Vec::new();
    let generated = generate(&decoder, &[ids], &sampling, &mut |_, _| {
        times.push(began.elapsed().as_secs_f64());
        true
    });
    let (first, last) = (times[0], times[times.len() - 1]);
    println!(
        "{{\"prompt\": {:.2}, \"decode\": {:.2}, \"peak_mb\": {:.1}, \"ids\": {:?}}}",
        f64::from(prompt) / first,
        (times.len() - 1) as f64 / (last - first),
        peak_kb()? / 1024.0,
        &generated[0].ids[..generated[0].ids.len().min(16)]
    );
    Ok(())
}

/// The most memory that the process had, as Linux counts it.
fn peak_kb() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmHWM")?.parse()?)
}
