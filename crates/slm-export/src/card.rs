//! Model cards: a `README.md` in each folder and one for all files, with the metadata that the Hugging Face hub reads.

use crate::gguf_metadata::is_hub_name;
use crate::{CERTIFICATE_JSON, Comparison, Request};

/// The card of a folder. `library` runs it: `peft` or `transformers`.
pub(crate) fn folder_card(request: &Request<'_>, library: &str) -> String {
    let name = request.name;
    let how = match library {
        "peft" => format!(
            "It is a LoRA adapter for `{}`; load it with PEFT's `PeftModel.from_pretrained`.",
            told(request.base_model)
        ),
        _ => "Load it with `AutoModelForCausalLM.from_pretrained`; vLLM and others read the same folder.".into(),
    };
    format!(
        "{}\n# {name}\n\n{}\n\n{how}\n\nHow it compares with the model that was trained is in `{CERTIFICATE_JSON}`, \
         whose hash is in the metadata of the weights.\n",
        front_matter(request, library),
        origin(request.base_model),
    )
}

/// The card of the export folder, with the figures of all files.
pub(crate) fn card(request: &Request<'_>, comparisons: &[Comparison]) -> String {
    let mut text = format!(
        "{}\n# {}\n\n{}\n\n",
        front_matter(request, "transformers"),
        request.name,
        origin(request.base_model)
    );
    text += "| file | weights | mean KL, nats | same likeliest token | perplexity | tasks |\n|---|---|---|---|---|---|\n";
    for row in comparisons {
        let ratio = row
            .perplexity_ratio
            .map_or("".into(), |ratio| format!("x {ratio:.4}"));
        // The first metric of each task is the one that it is named by.
        let firsts = row.tasks.chunk_by(|a, b| a.task == b.task);
        let tasks = firsts.filter_map(|metrics| metrics.first()).map(|task| {
            format!(
                "{} {} {:.3}, was {:.3}",
                task.task, task.metric, task.exported, task.trained
            )
        });
        let tasks: Vec<String> = tasks.collect();
        text += &format!(
            "| `{}` | {} | {:.1e} | {:.2} % | {ratio} | {} |\n",
            row.file,
            row.weights,
            row.mean_kl,
            100.0 * row.top1_agreement,
            tasks.join("; ")
        );
    }
    let tokens = comparisons.first().map_or(0, |row| row.tokens);
    text += &format!(
        "\nEach beside the model that was trained, on {tokens} tokens of held-out rows. `slm-tune verify FILE` computes it again; \
         `{CERTIFICATE_JSON}` has the rows and all figures.\n"
    );
    text
}

fn front_matter(request: &Request<'_>, library: &str) -> String {
    // A folder of this machine means nothing elsewhere.
    let base = match is_hub_name(request.base_model) {
        true => format!("base_model: {}\n", request.base_model),
        false => String::new(),
    };
    let kind = match request.decoder.lora_params().is_empty() {
        true => "full",
        false => "lora",
    };
    format!(
        "---\nlibrary_name: {library}\npipeline_tag: text-generation\n{base}tags:\n- slm-tune\n- {kind}\n---\n"
    )
}

fn origin(base_model: &str) -> String {
    match base_model {
        "" => "Trained from random weights with slm-tune.".into(),
        base => format!("Fine-tuned from `{}` with slm-tune.", told(base)),
    }
}

/// A base by its name, without the folders of this machine.
fn told(base_model: &str) -> &str {
    match base_model.starts_with(['.', '/', '~']) {
        true => base_model
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(base_model),
        false => base_model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_this_machine_are_not_told() {
        assert_eq!(told("/home/someone/models/tiny/"), "tiny");
        assert_eq!(told("owner/name"), "owner/name");
        assert!(!origin("../a/b").contains(".."));
    }
}
