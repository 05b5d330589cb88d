//! The evaluator on a tiny random model: every figure against a second way of computing it, and every refusal.

use std::path::Path;

use serde_json::json;
use slm_data::{HeldOut, Prompt};
use slm_eval::{EvalError, Evaluator, Finish, MetricName, Score, TaskReport};
use slm_model::{Decoder, DecoderConfig, Sequence, score};
use slm_recipe::{EvalTask, OutputType, ScratchConfig};
use slm_run::Event;
use slm_text::{ChatTokenizer, Message, train_bpe};

const LABELS: [&str; 4] = ["lost card", "card arrival", "exchange rate", "top up"];

/// A random decoder of two layers with a context of `context` tokens, and a tokenizer of its own.
fn model(folder: &Path, context: usize) -> (Decoder, ChatTokenizer) {
    let texts = (0..40).flat_map(|i| {
        LABELS.map(|label| format!("Query {i}: where is my card?\nIntent: {label} {{\"n\": {i}}}"))
    });
    train_bpe(texts, 320, folder).expect("a tokenizer");
    let tokenizer = ChatTokenizer::load(folder, "auto").expect("a tokenizer");
    let section = ScratchConfig {
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        max_position_embeddings: context,
        ..ScratchConfig::default()
    };
    let config =
        DecoderConfig::scratch(&section, tokenizer.vocab_size(), &json!({})).expect("a config");
    let device = slm_model::device::open("cpu").expect("the CPU");
    (Decoder::init(config, 7, &device), tokenizer)
}

fn item(row: usize, prompt: Prompt, target: &str) -> HeldOut {
    HeldOut {
        row,
        origin: format!("rows.csv:{}", row + 2),
        prompt,
        target: target.into(),
        slices: [("channel".to_string(), "app".to_string())].into(),
    }
}

fn pairs(n: usize) -> Vec<HeldOut> {
    (0..n)
        .map(|row| {
            let prompt = Prompt::Text(format!("Query {row}{}:", " again".repeat(row % 4)));
            item(row, prompt, &format!(" {}", LABELS[row % 4]))
        })
        .collect()
}

fn chats(n: usize) -> Vec<HeldOut> {
    (0..n)
        .map(|row| {
            let question = Message::new("user", format!("Query {row}: where is my card?"));
            item(row, Prompt::Chat(vec![question].into()), LABELS[row % 4])
        })
        .collect()
}

fn task(output_type: OutputType) -> EvalTask {
    EvalTask {
        name: "intent".into(),
        output_type,
        choices: LABELS.map(String::from).to_vec(),
        max_new_tokens: 12,
        ..EvalTask::default()
    }
}

struct Bench {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(context: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (decoder, tokenizer) = model(folder.path(), context);
        Self {
            decoder,
            tokenizer,
            _folder: folder,
        }
    }

    fn evaluate(&self, task: &EvalTask, items: &[HeldOut]) -> Result<TaskReport, EvalError> {
        let evaluator = Evaluator {
            decoder: &self.decoder,
            tokenizer: &self.tokenizer,
            eos: true,
            seed: 42,
        };
        evaluator.evaluate(task, items, &mut |_| {})
    }
}

/// The summed log-likelihood of the learned tokens, from the tokens of training and without any sharing.
fn by_hand(bench: &Bench, item: &HeldOut, answer: &str) -> f64 {
    let encoded = match &item.prompt {
        Prompt::Text(prompt) => bench.tokenizer.encode_pair(prompt, answer, true),
        Prompt::Chat(chat) => {
            let mut chat = chat.clone();
            chat.messages.push(Message::new("assistant", answer));
            let spec = slm_text::TrainOnSpec {
                which: slm_text::Learned::Assistant,
                eos: true,
            };
            bench.tokenizer.encode_conversation(&chat, spec)
        }
        Prompt::Tokens { prompt, answer } => Ok(slm_text::Encoded {
            ids: [&prompt[..], answer].concat(),
            learn: [vec![false; prompt.len()], vec![true; answer.len()]].concat(),
        }),
    }
    .expect("encodes");
    let all = Sequence {
        ids: encoded.ids,
        from: 1,
    };
    let scored = score(&bench.decoder, &[all], 1, &mut |_| {}).remove(0);
    scored
        .logprobs
        .iter()
        .zip(&encoded.learn[1..])
        .filter(|(_, learn)| **learn)
        .map(|(p, _)| f64::from(*p))
        .sum()
}

#[test]
fn choices_are_scored_as_training_would_score_them() {
    let bench = Bench::new(256);
    for items in [pairs(6), chats(6)] {
        let report = bench
            .evaluate(&task(OutputType::MultipleChoice), &items)
            .expect("a report");
        assert_eq!(report.choices, LABELS);
        for (item, sample) in items.iter().zip(&report.samples) {
            let lead = if item.target.starts_with(' ') {
                " "
            } else {
                ""
            };
            let expected: Vec<f64> = LABELS
                .iter()
                .map(|label| by_hand(&bench, item, &format!("{lead}{label}")))
                .collect();
            let Score::Choices {
                logprobs, correct, ..
            } = &sample.score
            else {
                panic!("{:?}", sample.score)
            };
            for (got, want) in logprobs.iter().zip(&expected) {
                assert!((f64::from(*got) - want).abs() < 1e-3, "{got} is not {want}");
            }
            let best = (0..4)
                .max_by(|a, b| expected[*a].total_cmp(&expected[*b]))
                .expect("four");
            assert_eq!(sample.output, LABELS[best]);
            assert_eq!(*correct, LABELS[best] == item.target.trim());
            assert_eq!(sample.slices["channel"], "app");
        }
    }
}

#[test]
fn perplexity_is_that_of_the_learned_tokens_whatever_the_batch() {
    let bench = Bench::new(256);
    for items in [pairs(9), chats(9)] {
        let report = |batch_size| {
            let task = EvalTask {
                batch_size,
                ..task(OutputType::Loglikelihood)
            };
            bench.evaluate(&task, &items).expect("a report")
        };
        let (one, many) = (report(1), report(8));
        let nats: f64 = items
            .iter()
            .map(|item| -by_hand(&bench, item, &item.target))
            .sum();
        let tokens: usize = one.samples.iter().map(|sample| sample.output_tokens).sum();
        let loss = one.metric(MetricName::Loss).expect("a loss").value;
        assert!((loss - nats / tokens as f64).abs() < 1e-4, "{loss}");
        for (a, b) in one.samples.iter().zip(&many.samples) {
            let (Score::Likelihood { logprob: a, .. }, Score::Likelihood { logprob: b, .. }) =
                (&a.score, &b.score)
            else {
                panic!("not likelihoods")
            };
            assert!((a - b).abs() < 1e-4, "{a} alone, {b} in a batch");
        }
    }
}

#[test]
fn a_text_without_prompt_is_scored_from_its_second_token() {
    let bench = Bench::new(256);
    let text = item(0, Prompt::Text(String::new()), "Query 3: where is my card?");
    let report = bench
        .evaluate(&task(OutputType::Loglikelihood), &[text])
        .expect("a report");
    let sample = &report.samples[0];
    assert_eq!(sample.prompt_tokens, 1);
    let Score::Likelihood { target_bytes, .. } = sample.score else {
        panic!("not a likelihood")
    };
    assert_eq!(target_bytes + sample.prompt.len(), sample.target.len());
}

#[test]
fn greedy_answers_do_not_depend_on_the_batch_and_end_where_they_should() {
    let bench = Bench::new(256);
    let answers = |batch_size, stop: &[String]| {
        let task = EvalTask {
            batch_size,
            stop: stop.to_vec(),
            ..task(OutputType::GenerateUntil)
        };
        bench.evaluate(&task, &chats(5)).expect("a report").samples
    };
    let (one, many) = (answers(1, &[]), answers(4, &[]));
    assert_eq!(one, many);
    for sample in &one {
        let Score::Generated { finish, .. } = sample.score else {
            panic!("not generated")
        };
        assert!(sample.output_tokens <= 12);
        assert_eq!(finish == Finish::Length, sample.output_tokens == 12);
    }
    // A piece of an answer as the stop string cuts that answer before it.
    let full = &one[0].output;
    let piece: String = full.chars().skip(2).take(2).collect();
    assert_eq!(piece.chars().count(), 2, "{full:?} is long enough to cut");
    let cut = answers(4, std::slice::from_ref(&piece)).remove(0);
    let end = full.find(&piece).expect("it is a piece of it");
    assert_eq!(cut.output, full[..end]);
    assert!(matches!(
        cut.score,
        Score::Generated {
            finish: Finish::Stop,
            ..
        }
    ));
    assert!(cut.output_tokens <= one[0].output_tokens);
}

#[test]
fn a_full_context_ends_an_answer() {
    let bench = Bench::new(40);
    let task = EvalTask {
        max_new_tokens: 100,
        ..task(OutputType::GenerateUntil)
    };
    let report = bench.evaluate(&task, &pairs(2)).expect("a report");
    for sample in &report.samples {
        assert!(sample.prompt_tokens + sample.output_tokens <= 40);
        let Score::Generated { finish, .. } = sample.score else {
            panic!("not generated")
        };
        assert_ne!(finish, Finish::Length);
    }
}

#[test]
fn sampling_is_a_function_of_the_seed() {
    let bench = Bench::new(256);
    let task = EvalTask {
        temperature: 1.0,
        ..task(OutputType::GenerateUntil)
    };
    let outputs = |seed| {
        let evaluator = Evaluator {
            decoder: &bench.decoder,
            tokenizer: &bench.tokenizer,
            eos: true,
            seed,
        };
        let report = evaluator
            .evaluate(&task, &chats(3), &mut |_| {})
            .expect("a report");
        report
            .samples
            .into_iter()
            .map(|sample| sample.output)
            .collect::<Vec<_>>()
    };
    assert_eq!(outputs(1), outputs(1));
    assert_ne!(outputs(1), outputs(2));
}

#[test]
fn progress_counts_every_item() {
    let bench = Bench::new(256);
    for output_type in [
        OutputType::MultipleChoice,
        OutputType::GenerateUntil,
        OutputType::Loglikelihood,
    ] {
        let mut last = (0, 0);
        let task = EvalTask {
            max_samples: 5,
            batch_size: 2,
            ..task(output_type)
        };
        let evaluator = Evaluator {
            decoder: &bench.decoder,
            tokenizer: &bench.tokenizer,
            eos: true,
            seed: 42,
        };
        let report = evaluator
            .evaluate(&task, &pairs(8), &mut |event| {
                if let Event::Progress { done, total, .. } = event {
                    assert!(done >= last.0, "{done} after {}", last.0);
                    last = (done, total);
                }
            })
            .expect("a report");
        assert_eq!((report.n, last), (5, (5, 5)));
    }
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let bench = Bench::new(24);
    let refused = |task: &EvalTask, items: &[HeldOut]| {
        let error = bench.evaluate(task, items).expect_err("refused");
        (error.to_string(), error.hint().unwrap_or_default())
    };
    let choice = task(OutputType::MultipleChoice);
    let (message, hint) = refused(&choice, &[item(1, Prompt::Text("Q".into()), " lost crad")]);
    assert_eq!(
        message,
        "rows.csv:3: the answer `lost crad` is none of the 4 choices of task `intent`"
    );
    assert!(hint.starts_with("did you mean `lost card`?"), "{hint}");

    let long = item(4, Prompt::Text("Q ".repeat(30)), " top up");
    for output_type in [
        OutputType::MultipleChoice,
        OutputType::GenerateUntil,
        OutputType::Loglikelihood,
    ] {
        let (message, _) = refused(&task(output_type), std::slice::from_ref(&long));
        assert!(
            message.starts_with("rows.csv:6: task `intent` needs ")
                && message.ends_with(" tokens for this item, the model reads at most 24"),
            "{message}"
        );
    }

    let (message, _) = refused(&choice, &[]);
    assert_eq!(message, "task `intent` has no items");
    let empty = item(2, Prompt::Text(String::new()), " top up");
    let (message, _) = refused(&choice, std::slice::from_ref(&empty));
    assert_eq!(
        message,
        "rows.csv:4: the prompt of task `intent` gives no token"
    );
    let nothing = item(2, Prompt::Text("Q".into()), "");
    let (message, _) = refused(&task(OutputType::Loglikelihood), &[nothing]);
    assert_eq!(
        message,
        "rows.csv:4: the answer `` of task `intent` gives no token to score"
    );
}
