//! The project's base on tasks whose answers are held to labels, a regex or a JSON schema: no answer that ended is outside, and
//! without the constraint some are.

use std::path::Path;

use serde_json::Value;
use slm_data::{HeldOut, Prompt};
use slm_eval::{EvalError, Evaluator, Finish, Sample, Score, constraint};
use slm_model::Decoder;
use slm_recipe::{AnswerConstraint, Dtype, EvalTask, OutputType};
use slm_text::{ChatTokenizer, Message};

const LABELS: [&str; 5] = [
    "lost card",
    "lost card abroad",
    "card_arrival",
    "exchange rate",
    "top-up",
];
const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {"intent": {"enum": ["return", "refund"]}, "order": {"type": "integer", "minimum": 1, "maximum": 999}},
    "required": ["intent", "order"],
    "additionalProperties": false
}"#;

struct Bench {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
}

impl Bench {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/base/slm-base-2m");
        let device = slm_model::device::open("cpu").expect("the CPU");
        Self {
            decoder: Decoder::load(&folder, &device, Dtype::F32).expect("the base"),
            tokenizer: ChatTokenizer::load(&folder, "auto").expect("its tokenizer"),
        }
    }

    fn answers(&self, task: &EvalTask) -> Vec<Sample> {
        let evaluator = Evaluator {
            decoder: &self.decoder,
            tokenizer: &self.tokenizer,
            eos: true,
            seed: 42,
        };
        let report = evaluator.evaluate(task, &items(), &mut |_| {});
        report.expect("a report").samples
    }
}

/// Chats and prompts of plain text, of several lengths.
fn items() -> Vec<HeldOut> {
    let asked = [
        "Where is my parcel?",
        "My card was declined twice today, and I am abroad. What now?",
        "I want my money back for order 71.",
    ];
    (0..6)
        .map(|row| {
            let text = asked[row % 3];
            let prompt = match row < 3 {
                true => Prompt::Chat(vec![Message::new("user", text)].into()),
                false => Prompt::Text(format!("Message: {text}\nTopic:")),
            };
            HeldOut {
                row,
                origin: format!("rows.csv:{}", row + 2),
                prompt,
                target: LABELS[row % 5].into(),
                slices: Default::default(),
            }
        })
        .collect()
}

fn task(constraint: Option<AnswerConstraint>, temperature: f64, batch_size: usize) -> EvalTask {
    EvalTask {
        name: "held".into(),
        output_type: OutputType::GenerateUntil,
        choices: LABELS.map(String::from).to_vec(),
        max_new_tokens: 128,
        constraint,
        temperature,
        batch_size,
        ..EvalTask::default()
    }
}

fn finish(sample: &Sample) -> Finish {
    match sample.score {
        Score::Generated { finish, .. } => finish,
        _ => panic!("not generated"),
    }
}

/// Answers in every manner: by itself and in batches, greedily and at random.
fn check(constraint: &AnswerConstraint, is_valid: impl Fn(&str) -> bool) {
    let bench = Bench::new();
    for temperature in [0.0, 1.5] {
        let free: Vec<Sample> = bench.answers(&task(None, temperature, 4));
        let outside = free.iter().filter(|sample| !is_valid(sample.output.trim()));
        assert!(outside.count() > 0, "the base keeps to it by itself");
        for batch_size in [1, 4] {
            let held = bench.answers(&task(Some(constraint.clone()), temperature, batch_size));
            for sample in held {
                let output = sample.output.trim();
                assert_eq!(finish(&sample), Finish::Stop, "`{output}` was cut");
                assert!(is_valid(output), "`{output}` is outside");
            }
        }
    }
}

#[test]
fn answers_are_labels() {
    let constraint = AnswerConstraint {
        labels: true,
        ..AnswerConstraint::default()
    };
    check(&constraint, |text| LABELS.contains(&text));
}

#[test]
fn answers_match_a_regex() {
    let constraint = AnswerConstraint {
        regex: Some("[A-Z]{2}-[0-9]{1,4}".into()),
        ..AnswerConstraint::default()
    };
    check(&constraint, |text| {
        let parts = text.split_once('-');
        parts.is_some_and(|(letters, digits)| {
            letters.len() == 2
                && letters.bytes().all(|byte| byte.is_ascii_uppercase())
                && (1..=4).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
    });
}

#[test]
fn answers_are_json_of_a_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("answer.json");
    std::fs::write(&path, SCHEMA).expect("it is written");
    let constraint = AnswerConstraint {
        json_schema: Some(path.display().to_string()),
        ..AnswerConstraint::default()
    };
    check(&constraint, |text| {
        let Ok(Value::Object(object)) = serde_json::from_str(text) else {
            return false;
        };
        let intent = object.get("intent").and_then(Value::as_str);
        let order = object.get("order").and_then(Value::as_u64);
        object.len() == 2
            && intent.is_some_and(|it| ["return", "refund"].contains(&it))
            && order.is_some_and(|it| (1..=999).contains(&it))
    });
}

#[test]
fn greedy_answers_do_not_depend_on_the_batch() {
    let bench = Bench::new();
    let labels = AnswerConstraint {
        labels: true,
        ..AnswerConstraint::default()
    };
    let outputs = |batch_size| -> Vec<String> {
        let answers = bench.answers(&task(Some(labels.clone()), 0.0, batch_size));
        answers.into_iter().map(|sample| sample.output).collect()
    };
    assert_eq!(outputs(1), outputs(6));
}

#[test]
fn an_answer_that_is_cut_short_does_not_count_as_ended() {
    let bench = Bench::new();
    let digits = AnswerConstraint {
        regex: Some("[0-9]{40}".into()),
        ..AnswerConstraint::default()
    };
    let mut task = task(Some(digits), 0.0, 4);
    task.max_new_tokens = 8;
    for sample in bench.answers(&task) {
        assert_eq!(finish(&sample), Finish::Length);
        assert!(
            sample
                .output
                .trim()
                .bytes()
                .all(|byte| byte.is_ascii_digit())
        );
    }
}

#[test]
fn what_answers_cannot_be_held_to_is_an_error() {
    let bench = Bench::new();
    let error = |constraint: AnswerConstraint| -> EvalError {
        let task = task(Some(constraint), 0.0, 1);
        constraint_of(&task, &bench).expect_err("it cannot be")
    };
    let regex = error(AnswerConstraint {
        regex: Some("a(b".into()),
        ..AnswerConstraint::default()
    });
    assert_eq!(
        regex.to_string(),
        "task `held` cannot hold its answers to `constraint`: the regex `a(b` is wrong at character 2: unclosed group"
    );
    let missing = error(AnswerConstraint {
        json_schema: Some("nowhere.json".into()),
        ..AnswerConstraint::default()
    });
    assert_eq!(missing.to_string(), "`nowhere.json` does not exist");
}

fn constraint_of(
    task: &EvalTask,
    bench: &Bench,
) -> Result<Option<slm_grammar::Constraint>, EvalError> {
    constraint(task, &bench.tokenizer)
}
