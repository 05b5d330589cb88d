//! A model folder as a GGUF file in F32, without a training.
//!
//!     cargo run --release -p slm-export --example folder_to_gguf -- MODEL OUT [ADAPTER]
//!
//! MODEL is a folder of Hugging Face's with a tokenizer, ADAPTER one of PEFT's. OUT gets `model-F32.gguf`,
//! with the adapter in it where there is one, and the adapter alone as `model-lora-F32.gguf`.
//! tests/peers/llama_answers.py compares what llama.cpp answers with what Hugging Face's model does.

#![expect(clippy::print_stderr, reason = "an example tells what it does")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use slm_export::{Probe, ProbePrompt, Request, export};
use slm_model::{Decoder, device};
use slm_recipe::{Dtype, ExportSection, GgufType};
use slm_run::Event;
use slm_text::ChatTokenizer;

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, adapter @ ..] = arguments.as_slice() else {
        return Err("needs MODEL OUT [ADAPTER]".into());
    };
    let dir = Path::new(model);
    let mut decoder = Decoder::load(dir, &device::open("cpu")?, Dtype::F32)?;
    if let Some(adapter) = adapter.first() {
        decoder.load_adapter(Path::new(adapter))?;
    }
    let tokenizer = ChatTokenizer::load(dir, "auto")?;
    let text = "Where is my order? It should have come on Monday.";
    let probe = Probe {
        origin: "text".into(),
        prompt: ProbePrompt::Text(text.into()),
        ids: tokenizer.encode(text, true)?,
    };
    let section = ExportSection {
        peft_adapter: false,
        merged: false,
        gguf_adapter: !adapter.is_empty(),
        gguf: vec![GgufType::F32],
        ..ExportSection::default()
    };
    let request = Request {
        section: &section,
        name: "model",
        base_model: model,
        decoder: &decoder,
        tokenizer: &tokenizer,
        base_dir: dir,
        probes: &[probe],
        calibration: &[],
        out: Path::new(out),
    };
    let exported = export(&request, None, &mut |event| {
        if let Event::Warning { text } | Event::Note { text } = event {
            eprintln!("{text}");
        }
    })?;
    for file in exported.files {
        eprintln!("{} {} bytes", file.path, file.size_bytes);
    }
    Ok(())
}
