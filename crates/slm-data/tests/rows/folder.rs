//! What is on disk, read back, and when it is made again.

use std::collections::BTreeMap;

use slm_data::{Prompt, Shards, Stats, input_digest, training_texts};
use slm_recipe::{DataSection, Overlong, TrainOn};
use slm_run::Event;

use crate::bench::{Bench, TOKENIZER};

const CHATS: &str = r#"{"messages": [{"role": "user", "content": "where is it"}, {"role": "assistant", "content": "lost"}, {"role": "user", "content": "and now"}, {"role": "assistant", "content": "found"}], "kind": "card"}
{"messages": [{"role": "user", "content": "top up"}, {"role": "assistant", "content": "failed"}], "kind": "money"}
"#;

#[test]
fn what_is_written_is_read_back() {
    let mut bench = Bench::with("a.jsonl", CHATS);
    let section = DataSection {
        val_every: 2,
        ..bench.section("a.jsonl")
    };
    let manifest = bench.prepare(&section).unwrap();
    let shards = Shards::open(&bench.out()).unwrap();
    assert_eq!(shards.manifest(), &manifest);
    assert_eq!(
        (
            shards.train().len(),
            shards.validation().len(),
            shards.held_out().len()
        ),
        (1, 1, 1)
    );
    let held_out = &shards.held_out()[0];
    let Prompt::Chat(chat) = &held_out.prompt else {
        panic!("not a chat")
    };
    assert_eq!(chat.messages.len(), 3);
    assert_eq!(held_out.target, "found");
    assert_eq!(
        held_out.slices,
        BTreeMap::from([("kind".into(), "card".into())])
    );
    assert!(held_out.origin.ends_with("a.jsonl:1"));
    assert_eq!(
        shards.origin(1).unwrap(),
        format!("{}:2", bench.source("a.jsonl").path)
    );
    let sample = &shards.validation()[0];
    let learned: Vec<u32> = sample
        .ids
        .iter()
        .zip(&sample.learn)
        .filter(|(_, learn)| **learn)
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(
        TOKENIZER.decode(&learned, false).unwrap(),
        "lost<|im_end|>found<|im_end|>"
    );
    let done = |event: &Event| {
        matches!(
            event,
            Event::Progress {
                done: 2,
                total: 2,
                ..
            }
        )
    };
    assert!(bench.events.iter().any(done));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let mut bench = Bench::with("a.jsonl", CHATS);
    let section = DataSection {
        val_every: 2,
        ..bench.section("a.jsonl")
    };
    let once = bench.prepare(&section).unwrap();
    assert_eq!(once, bench.prepare(&section).unwrap());
}

#[test]
fn what_train_on_says_is_what_is_learned() {
    let mut bench = Bench::with("a.jsonl", CHATS);
    let learned = |bench: &mut Bench, train_on, train_on_eos| {
        let section = DataSection {
            train_on,
            train_on_eos,
            ..bench.section("a.jsonl")
        };
        let sample = bench.shards(&section).train()[0].clone();
        let ids: Vec<u32> = sample
            .ids
            .iter()
            .zip(&sample.learn)
            .filter(|(_, learn)| **learn)
            .map(|(id, _)| *id)
            .collect();
        TOKENIZER.decode(&ids, false).unwrap()
    };
    assert_eq!(
        learned(&mut bench, TrainOn::LastAssistant, true),
        "found<|im_end|>"
    );
    assert_eq!(learned(&mut bench, TrainOn::Completion, false), "found");
    assert!(learned(&mut bench, TrainOn::All, true).contains("where is it"));
}

#[test]
fn the_digest_changes_with_what_the_shards_depend_on() {
    let bench = Bench::with("a.jsonl", CHATS);
    let section = bench.section("a.jsonl");
    let digest = |section: &DataSection, max_length, seed| {
        input_digest(section, &[], &TOKENIZER, max_length, seed).unwrap()
    };
    let first = digest(&section, 64, 1);
    assert_eq!(first, digest(&section, 64, 1));
    assert_eq!(
        first,
        digest(
            &DataSection {
                packing: true,
                ..section.clone()
            },
            64,
            1
        )
    );
    assert_ne!(
        first,
        digest(
            &DataSection {
                overlong: Overlong::Drop,
                ..section.clone()
            },
            64,
            1
        )
    );
    assert_ne!(first, digest(&section, 65, 1));
    assert_ne!(first, digest(&section, 64, 2));
    bench.write("a.jsonl", CHATS.replace("lost", "gone"));
    assert_ne!(first, digest(&section, 64, 1));
    let error = input_digest(&bench.section("b.jsonl"), &[], &TOKENIZER, 64, 1).unwrap_err();
    assert_eq!(bench.told(&error).0, "data file `b.jsonl` does not exist");
}

#[test]
fn targets_and_lengths_are_counted() {
    let rows =
        |label: &str, n| format!("{{\"prompt\": \"p\", \"completion\": \" {label}\"}}\n").repeat(n);
    let mut bench = Bench::with("a.jsonl", rows("lost", 3) + &rows("found", 2));
    let section = bench.section("a.jsonl");
    let shards = bench.shards(&section);
    assert_eq!(shards.targets().collect::<Vec<_>>(), [" found", " lost"]);
    let stats = Stats::of(&bench.outline());
    assert_eq!(
        stats.targets,
        BTreeMap::from([(" found".into(), 2), (" lost".into(), 3)])
    );
    assert_eq!(
        (stats.train.rows, stats.train.tokens),
        (5, shards.manifest().train.tokens)
    );
    assert_eq!(
        stats.train.learned_tokens,
        shards.manifest().train.learned_tokens
    );
    assert_eq!(
        stats
            .train
            .histogram
            .iter()
            .map(|bin| bin.rows)
            .sum::<usize>(),
        5
    );
}

#[test]
fn a_tokenizer_learns_from_training_rows_only() {
    let bench = Bench::with("a.jsonl", CHATS);
    let section = DataSection {
        val_every: 2,
        ..bench.section("a.jsonl")
    };
    assert_eq!(
        training_texts(&section, &[], 1).unwrap(),
        ["top up", "failed"]
    );
}
