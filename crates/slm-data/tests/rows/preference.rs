//! Rows with judged answers, as TRL's trainers know them.

use slm_data::{Answer, Answers, Prompt, Sample, Shards, Stats};
use slm_recipe::{DataSection, Format, Overlong, Source};

use crate::bench::{Bench, NO_TEMPLATE, TOKENIZER};

const TEXTS: &str =
    "{\"prompt\": \"where is it\", \"chosen\": \" lost\", \"rejected\": \" found\"}\n";
const MESSAGES: &str = r#"{"prompt": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "where"}], "chosen": [{"role": "assistant", "content": "lost"}], "rejected": [{"role": "assistant", "content": "found"}]}
"#;

fn shards(rows: &str) -> Shards {
    let mut bench = Bench::with("a.jsonl", rows);
    let section = bench.section("a.jsonl");
    bench.shards(&section)
}

/// The text in front of the answer, and the answer.
fn shown(sample: &Sample) -> (Answer, String, String) {
    let text = |ids: &[u32]| TOKENIZER.decode(ids, false).unwrap();
    let at = sample.answer_start();
    let learned: Vec<u32> = (at..sample.ids.len())
        .filter(|at| sample.learn[*at])
        .map(|at| sample.ids[at])
        .collect();
    (sample.answer, text(&sample.ids[..at]), text(&learned))
}

fn all(rows: &str) -> Vec<(Answer, String, String)> {
    shards(rows).train().iter().map(shown).collect()
}

fn pair(prompt: &str, chosen: &str, rejected: &str) -> Vec<(Answer, String, String)> {
    [(Answer::Chosen, chosen), (Answer::Rejected, rejected)]
        .map(|(answer, text)| (answer, prompt.to_owned(), text.to_owned()))
        .into()
}

/// The conversation of `MESSAGES` up to the answer.
const GIVEN: &str = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>\n<|im_start|>user\nwhere<|im_end|>\n<|im_start|>assistant\n";

#[test]
fn texts_are_continued() {
    let made = shards(TEXTS);
    assert_eq!(made.manifest().sources[0].format, Format::Preference);
    assert_eq!((made.answers(), made.train().len()), (Answers::Pairs, 2));
    assert_eq!(made.manifest().train.rows, 1);
    assert_eq!(
        all(TEXTS),
        pair("where is it", " lost<|im_end|>", " found<|im_end|>")
    );
    assert_eq!(made.train()[0].row, made.train()[1].row);
}

#[test]
fn messages_are_rendered_and_only_the_answer_is_learned() {
    let expected = pair(GIVEN, "lost<|im_end|>", "found<|im_end|>");
    assert_eq!(all(MESSAGES), expected);
    let one_message = MESSAGES
        .replace("\"chosen\": [", "\"chosen\": ")
        .replace("}], \"rejected\"", "}, \"rejected\"");
    assert_eq!(all(&one_message), expected);
    let answers_as_texts = MESSAGES
        .replace(
            "[{\"role\": \"assistant\", \"content\": \"lost\"}]",
            "\"lost\"",
        )
        .replace(
            "[{\"role\": \"assistant\", \"content\": \"found\"}]",
            "\"found\"",
        );
    assert_eq!(all(&answers_as_texts), expected);
    let share_gpt = r#"{"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}, {"from": "human", "value": "where"}], "chosen": {"from": "gpt", "value": "lost"}, "rejected": {"from": "gpt", "value": "found"}}
"#;
    assert_eq!(all(share_gpt), expected);
}

#[test]
fn an_answer_may_have_several_messages() {
    let row = r#"{"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"}], "rejected": [{"role": "assistant", "content": "e"}]}
"#;
    let learned: Vec<_> = all(row)
        .into_iter()
        .map(|(_, _, learned)| learned)
        .collect();
    assert_eq!(learned, ["b<|im_end|>d<|im_end|>", "e<|im_end|>"]);
}

#[test]
fn a_prompt_that_is_left_out_is_what_the_answers_begin_with() {
    let turn =
        |role: &str, text: &str| format!("{{\"role\": \"{role}\", \"content\": \"{text}\"}}");
    let given = [
        turn("user", "hi"),
        turn("assistant", "yes"),
        turn("user", "where"),
    ]
    .join(", ");
    let answer = |text| turn("assistant", text);
    let conversations = format!(
        "\"chosen\": [{given}, {}], \"rejected\": [{given}, {}]",
        answer("lost"),
        answer("found")
    );
    let expected = pair(GIVEN, "lost<|im_end|>", "found<|im_end|>");
    assert_eq!(all(&format!("{{{conversations}}}\n")), expected);
    assert_eq!(
        all(&format!("{{\"prompt\": \"where\", {conversations}}}\n")),
        expected,
        "a prompt that is a text says what the conversations say as well"
    );
    let texts = "{\"chosen\": \"Q: é? A: lost\", \"rejected\": \"Q: é? A: found\"}\n";
    assert_eq!(
        all(texts),
        pair("Q: é? A:", " lost<|im_end|>", " found<|im_end|>")
    );
}

#[test]
fn texts_become_conversations_where_the_recipe_says_so() {
    let mut bench = Bench::with("a.jsonl", TEXTS);
    let section = DataSection {
        format: Format::Messages,
        train: vec![Source {
            system: Some("s".into()),
            ..bench.source("a.jsonl")
        }],
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let given = "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nwhere is it<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(
        shards.train().iter().map(shown).collect::<Vec<_>>(),
        pair(given, " lost<|im_end|>", " found<|im_end|>")
    );
}

#[test]
fn answers_that_were_rated_alone() {
    let rows = "{\"prompt\": \"p\", \"completion\": \" a\", \"label\": true}\n{\"prompt\": \"p\", \"completion\": \" b\", \"label\": false}\n";
    let made = shards(rows);
    assert_eq!(
        made.manifest().sources[0].format,
        Format::UnpairedPreference
    );
    assert_eq!(made.answers(), Answers::Rated);
    assert_eq!(all(rows), pair("p", " a<|im_end|>", " b<|im_end|>"));
    assert_eq!(made.manifest().train.rows, 2);
    let chat = r#"{"prompt": [{"role": "user", "content": "u"}], "completion": [{"role": "assistant", "content": "a"}], "label": false}
"#;
    assert_eq!(
        all(chat)[0],
        (
            Answer::Rejected,
            "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n".into(),
            "a<|im_end|>".into()
        )
    );
    let mut bench = Bench::with("a.csv", "prompt,completion,label\np, a,True\np, b,0\n");
    let section = DataSection {
        format: Format::UnpairedPreference,
        ..bench.section("a.csv")
    };
    let answers: Vec<_> = bench
        .shards(&section)
        .train()
        .iter()
        .map(|s| s.answer)
        .collect();
    assert_eq!(answers, [Answer::Chosen, Answer::Rejected]);
}

#[test]
fn an_answer_may_be_the_last_message_of_its_conversation() {
    let rows = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}, {"role": "user", "content": "where"}, {"role": "assistant", "content": "lost"}], "label": true}
{"messages": [{"role": "user", "content": "where"}, {"role": "assistant", "content": "found"}], "label": false}
"#;
    let made = shards(rows);
    assert_eq!(
        made.manifest().sources[0].format,
        Format::UnpairedPreference
    );
    let expected = [
        (Answer::Chosen, GIVEN.into(), "lost<|im_end|>".into()),
        (
            Answer::Rejected,
            "<|im_start|>user\nwhere<|im_end|>\n<|im_start|>assistant\n".into(),
            "found<|im_end|>".into(),
        ),
    ];
    assert_eq!(all(rows), expected);
    let share_gpt = rows
        .replace("\"messages\"", "\"conversations\"")
        .replace("\"role\"", "\"from\"")
        .replace("\"content\"", "\"value\"")
        .replace("\"assistant\"", "\"gpt\"")
        .replace("\"user\"", "\"human\"");
    assert_eq!(all(&share_gpt), expected);
    // As conversations to learn from where the recipe says so.
    let mut bench = Bench::with("a.jsonl", rows);
    let section = DataSection {
        format: Format::Messages,
        ..bench.section("a.jsonl")
    };
    assert_eq!(bench.shards(&section).answers(), Answers::Single);
}

#[test]
fn tokens_are_taken_as_they_are() {
    let made =
        shards("{\"prompt_ids\": [5, 6], \"chosen_ids\": [7, 8, 9], \"rejected_ids\": [10]}\n");
    let sample = |answer, ids: &[u32]| Sample {
        answer,
        ..Sample::new(0, ids.to_vec(), (0..ids.len()).map(|at| at >= 2).collect())
    };
    let expected = [
        sample(Answer::Chosen, &[5, 6, 7, 8, 9]),
        sample(Answer::Rejected, &[5, 6, 10]),
    ];
    assert_eq!(made.train(), expected);
    let rated = "{\"prompt_ids\": [5], \"completion_ids\": [7, 8], \"label\": true}\n";
    assert_eq!(shards(rated).train()[0].answer, Answer::Chosen);
}

#[test]
fn held_out_rows_are_asked_for_the_better_answer() {
    let mut bench = Bench::with("a.jsonl", TEXTS.repeat(2) + MESSAGES);
    let mut section = DataSection {
        val_every: 3,
        ..bench.section("a.jsonl")
    };
    section.format = Format::Preference;
    let shards = bench.shards(&section);
    assert_eq!((shards.validation().len(), shards.held_out().len()), (2, 1));
    assert_eq!(shards.held_out()[0].target, " lost");
    assert_eq!(
        shards.held_out()[0].prompt,
        Prompt::Text("where is it".into())
    );
    let stats = Stats::of(&bench.outline());
    assert_eq!(stats.train.rows, 2);
    assert!(stats.train.chosen.is_some() && stats.train.rejected.is_some());
}

#[test]
fn answers_to_one_prompt_are_on_one_side() {
    let row = |prompt: usize, answer: usize| {
        format!(
            "{{\"prompt\": \"p{prompt}\", \"completion\": \" a{answer}\", \"label\": {}}}\n",
            answer == 0
        )
    };
    let rows: String = (0..60)
        .flat_map(|prompt| (0..2).map(move |answer| row(prompt, answer)))
        .collect();
    let mut bench = Bench::with("a.jsonl", rows);
    let section = DataSection {
        val_size: 0.4,
        ..bench.section("a.jsonl")
    };
    let shards = bench.shards(&section);
    let prompts = |samples: &[Sample]| -> std::collections::BTreeSet<usize> {
        samples.iter().map(|sample| sample.row / 2).collect()
    };
    let (train, held_out) = (prompts(shards.train()), prompts(shards.validation()));
    assert!(train.is_disjoint(&held_out));
    assert!(!held_out.is_empty() && train.len() + held_out.len() == 60);
}

#[test]
fn two_answers_stay_or_go_together() {
    let long = "{\"prompt\": \"p\", \"chosen\": \" a\", \"rejected\": \" a b c d e f g h\"}\n";
    let mut bench = Bench::with("a.jsonl", format!("{TEXTS}{long}"));
    bench.max_length = 12;
    let with = |bench: &Bench, overlong| DataSection {
        overlong,
        ..bench.section("a.jsonl")
    };
    let section = with(&bench, Overlong::Error);
    let (message, _) = bench.refusal(&section);
    assert!(
        message.starts_with("1 of 2 rows is longer than `max_length` 12: `a.jsonl:2` ("),
        "{message}"
    );
    let section = with(&bench, Overlong::Drop);
    let shards = bench.shards(&section);
    assert_eq!(
        (
            shards.train().len(),
            shards.manifest().train.dropped.overlong
        ),
        (2, 1)
    );
    let section = with(&bench, Overlong::TruncateRight);
    let shards = bench.shards(&section);
    assert_eq!(
        (shards.train().len(), shards.manifest().train.truncated),
        (4, 1)
    );
    assert_eq!(shards.train()[3].ids.len(), 12);
}

#[track_caller]
fn refused(rows: &str, message: &str) {
    let mut bench = Bench::with("a.jsonl", rows);
    let section = bench.section("a.jsonl");
    assert_eq!(bench.refusal(&section).0, message);
}

#[test]
fn answers_that_are_none_are_refused() {
    refused(
        &format!("{TEXTS}{{\"prompt\": \"p\", \"chosen\": \" a\"}}\n"),
        "`a.jsonl:2` has no column `rejected`, needed by format `preference`; found `prompt`, `chosen`",
    );
    refused(
        &format!("{TEXTS}{{\"prompt\": \"p\", \"chosen\": \" a\", \"rejected\": 4}}\n"),
        "`a.jsonl:2`: column `rejected` holds a number, a text or a list of messages was needed",
    );
    refused(
        "{\"chosen\": \"a b\", \"rejected\": \"a b c\"}\n",
        "`a.jsonl:1`: column `chosen` holds no answer of its own, one was needed",
    );
    refused(
        &MESSAGES.replace(
            "\"chosen\": [{\"role\": \"assistant\"",
            "\"chosen\": [{\"role\": \"user\"",
        ),
        "`a.jsonl:1`: column `chosen` holds no message of the assistant, one behind the prompt was needed",
    );
    refused(
        "{\"prompt\": \"p\", \"completion\": \" a\", \"label\": true}\n{\"prompt\": \"p\", \"completion\": \" a\", \"label\": \"maybe\"}\n",
        "`a.jsonl:2`: column `label` holds `maybe`, true (desirable) or false was needed",
    );
    refused(
        "{\"messages\": [{\"role\": \"user\", \"content\": \"p\"}], \"label\": true}\n",
        "`a.jsonl:1`: column `messages` holds a last message of `user`, a last message of the assistant, which was judged, was needed",
    );
    refused(
        "{\"prompt_ids\": [5, 6], \"chosen_ids\": [7, 800], \"rejected_ids\": [10]}\n",
        "`a.jsonl:1`: column `chosen_ids[1]` holds 800, an id from 0 to 292 was needed",
    );
    let mut bench = Bench::with("a.jsonl", MESSAGES);
    let section = bench.section("a.jsonl");
    let error = bench.prepare_with(&section, &NO_TEMPLATE).unwrap_err();
    assert_eq!(
        bench.told(&error).0,
        "`a.jsonl` has conversations, but the tokenizer has no chat template"
    );
}

#[test]
fn the_mask_is_proven_for_both_answers() {
    let mask = shards(MESSAGES).manifest().mask.clone();
    assert_eq!((mask.train.sequences, mask.train.ended), (2, 2));
    let assistant = mask.train.roles[&slm_text::TokenRole::Assistant];
    let tokens = |text: &str| TOKENIZER.encode(text, false).unwrap().len();
    assert_eq!(assistant.learned, tokens("lost") + tokens("found"));
    assert_eq!(assistant.tokens, assistant.learned + 2 * tokens("yes"));
    assert_eq!(mask.probes.len(), 1);
    mask.check(&TOKENIZER).unwrap();
}
