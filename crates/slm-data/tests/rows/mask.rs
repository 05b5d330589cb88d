//! What a run learns from: counted over all rows, refused where it is wrong, and checked again by those who answer.

use slm_data::{MaskProof, Shards, SideProof};
use slm_recipe::{DataSection, Finding, Overlong, TrainOn};
use slm_text::{ChatTokenizer, TokenRole};
use tempfile::TempDir;

use crate::bench::{Bench, TOKENIZER, trained};

const CHATS: &str = r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "where"}, {"role": "assistant", "content": "lost"}, {"role": "user", "content": "now"}, {"role": "assistant", "content": "found"}]}
{"messages": [{"role": "user", "content": "top up"}, {"role": "assistant", "content": "failed"}]}
"#;
const PAIRS: &str = "{\"prompt\": \"where\", \"completion\": \" lost\"}\n{\"prompt\": \"top up\", \"completion\": \" failed\"}\n";

/// A tokenizer that puts `<|im_start|>` before every text, with a chat template.
fn with_bos(template: &str) -> (TempDir, ChatTokenizer) {
    let dir = trained();
    let path = dir.path().join("tokenizer_config.json");
    let config = serde_json::json!({
        "tokenizer_class": "LlamaTokenizer", "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
        "chat_template": template,
    });
    fs_err::write(path, config.to_string()).unwrap();
    let tokenizer = ChatTokenizer::load(dir.path(), "auto").unwrap();
    assert!(tokenizer.adds_bos());
    (dir, tokenizer)
}

/// Each message behind its role, with what stands for `{before}` and `{after}` an answer.
fn template(start: &str, before: &str, after: &str) -> String {
    format!(
        "{start}{{% for m in messages %}}{{{{ m.role }}}}: {{% if m.role == 'assistant' %}}{before}{{{{ m.content }}}}{after}\
         {{% else %}}{{{{ m.content }}}}\n{{% endif %}}{{% endfor %}}{{% if add_generation_prompt %}}assistant: {{% endif %}}"
    )
}

fn proof(rows: &str, change: impl Fn(DataSection) -> DataSection) -> MaskProof {
    let mut bench = Bench::with("a.jsonl", rows);
    let section = change(bench.section("a.jsonl"));
    bench.shards(&section).manifest().mask.clone()
}

fn roles(side: &SideProof) -> Vec<(&'static str, usize, usize)> {
    let each = side.roles.iter();
    each.map(|(role, count)| (role.name(), count.tokens, count.learned))
        .collect()
}

fn n_ids(text: &str) -> usize {
    TOKENIZER.encode(text, false).unwrap().len()
}

#[test]
fn tokens_are_counted_by_whose_they_are() {
    let proof = proof(CHATS, |section| DataSection {
        val_every: 2,
        ..section
    });
    let learned = n_ids("lost") + n_ids("found");
    let train = n_ids("failed");
    assert_eq!(
        roles(&proof.validation)[1..],
        [
            ("system", 1, 0),
            ("user", n_ids("where") + n_ids("now"), 0),
            ("assistant", learned, learned),
            ("end of turn", 2, 2),
        ]
    );
    assert_eq!(roles(&proof.train)[2], ("assistant", train, train));
    assert_eq!(
        (
            proof.train.sequences,
            proof.train.ended,
            proof.train.unlearned
        ),
        (1, 1, 0)
    );
    assert_eq!((proof.train.begun, proof.adds_bos), (0, false));
}

#[test]
fn what_is_learned_of_pairs_texts_and_tokens() {
    let pairs = proof(PAIRS, |section| section);
    let names: Vec<_> = pairs.train.roles.keys().collect();
    assert_eq!(
        names,
        [&TokenRole::Prompt, &TokenRole::Completion, &TokenRole::End]
    );
    assert_eq!(
        pairs.train.total().learned,
        n_ids(" lost") + n_ids(" failed") + 2
    );
    let all = proof(PAIRS, |section| DataSection {
        train_on: TrainOn::All,
        ..section
    });
    // Nothing predicts the first token of a row.
    assert_eq!(all.train.total().learned, all.train.total().tokens - 2);
    let text = proof("{\"text\": \"the card\"}\n", |section| section);
    assert_eq!(text.train.roles[&TokenRole::Text].tokens, n_ids("the card"));
    let tokens = proof(
        "{\"input_ids\": [1, 2, 3], \"labels\": [-100, 2, 3]}\n",
        |section| section,
    );
    assert_eq!(roles(&tokens.train), [("tokens", 3, 2)]);
    assert_eq!(
        (tokens.train.ended, tokens.probes.len()),
        (0, 0),
        "whoever made them decides how they end"
    );
}

#[test]
fn what_is_cut_or_left_out_is_counted_and_loses_its_end() {
    let long = "{\"prompt\": \"where\", \"completion\": \" lost lost lost\"}\n";
    let mut bench = Bench::with("a.jsonl", format!("{PAIRS}{long}"));
    bench.max_length = n_ids("where") + n_ids(" lost") + 1;
    let section = DataSection {
        overlong: Overlong::TruncateRight,
        ..bench.section("a.jsonl")
    };
    let mask = bench.shards(&section).manifest().mask.clone();
    assert_eq!(
        (mask.train.cut, mask.train.ended, mask.train.sequences),
        (1, 2, 3)
    );
    assert_eq!(
        bench.warnings(),
        [
            "1 of 3 training rows was cut to `max_length`",
            "2 rows give another answer to a prompt than another row (`cleaning.jsonl` lists them)"
        ]
    );
    let section = DataSection {
        overlong: Overlong::Drop,
        ..section
    };
    let mask = bench.shards(&section).manifest().mask.clone();
    assert_eq!((mask.train.left_out, mask.train.sequences), (1, 2));
}

#[track_caller]
fn refused(
    rows: &str,
    tokenizer: &ChatTokenizer,
    train_on: TrainOn,
    finding: Finding,
    message: &str,
) {
    let mut bench = Bench::with("a.jsonl", rows);
    let section = DataSection {
        train_on,
        ..bench.section("a.jsonl")
    };
    let error = bench.prepare_with(&section, tokenizer).unwrap_err();
    let (said, hint) = bench.told(&error);
    assert_eq!(said, message);
    let accept = format!("`data.accept_findings = [\"{}\"]`", finding.name());
    assert!(hint.ends_with(&accept), "{hint}");
    assert!(!bench.out().exists());
    let section = DataSection {
        accept_findings: vec![finding],
        ..section
    };
    let manifest = bench.prepare_with(&section, tokenizer).unwrap();
    let count = manifest.mask.train.findings[&finding];
    assert_eq!(
        bench.warnings(),
        [format!(
            "{count} of {} training sequences have the finding `{}`, which `data.accept_findings` accepts",
            manifest.train.rows,
            finding.name()
        )]
    );
}

#[test]
fn two_bos_are_refused() {
    let (_dir, tokenizer) = with_bos(&template("", "", "{{ eos_token }}"));
    let rows = PAIRS.replace("\"where\"", "\"<|im_start|>where\"");
    refused(
        &rows,
        &tokenizer,
        TrainOn::Assistant,
        Finding::DoubledBos,
        "1 of 2 rows begins with BOS twice: `a.jsonl:1`",
    );
    let (_dir, tokenizer) = with_bos(&template(
        "{{ bos_token }}{{ bos_token }}",
        "",
        "{{ eos_token }}",
    ));
    refused(
        CHATS,
        &tokenizer,
        TrainOn::Assistant,
        Finding::DoubledBos,
        "2 of 2 rows begin with BOS twice: `a.jsonl:1`, `a.jsonl:2`",
    );
}

#[test]
fn a_missing_bos_is_refused_where_the_tokenizer_adds_one() {
    let (_dir, tokenizer) = with_bos(&template("", "", "{{ eos_token }}"));
    refused(
        CHATS,
        &tokenizer,
        TrainOn::Assistant,
        Finding::MissingBos,
        "2 of 2 rows begin without BOS, which the tokenizer puts before every text: `a.jsonl:1`, `a.jsonl:2`",
    );
    let (_dir, tokenizer) = with_bos(&template("{{ bos_token }}", "", "{{ eos_token }}"));
    for rows in [CHATS, PAIRS] {
        let mut bench = Bench::with("a.jsonl", rows);
        let section = bench.section("a.jsonl");
        let mask = bench.prepare_with(&section, &tokenizer).unwrap().mask;
        assert_eq!((mask.train.begun, mask.adds_bos), (2, true));
    }
}

#[test]
fn an_answer_whose_end_is_not_learned_is_refused() {
    let (_dir, tokenizer) = with_bos(&template("{{ bos_token }}", "", "\n"));
    refused(
        CHATS,
        &tokenizer,
        TrainOn::All,
        Finding::UnlearnedEnd,
        "2 of 2 rows do not learn where the answer ends: the last learned token is none that generation stops at: \
         `a.jsonl:1`, `a.jsonl:2`",
    );
}

#[test]
fn a_given_message_that_is_learned_is_refused() {
    let everything = "{{ bos_token }}{% for m in messages %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% endfor %}";
    let (_dir, tokenizer) = with_bos(everything);
    refused(
        CHATS,
        &tokenizer,
        TrainOn::Assistant,
        Finding::GivenLearned,
        "2 of 2 rows learn tokens of a message that was given, and not written by the assistant: `a.jsonl:1`, `a.jsonl:2`",
    );
}

#[test]
fn messages_that_a_template_changes_are_not_told_apart() {
    let (_dir, tokenizer) = with_bos(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_token }}{% else %}[{{ m.content|upper }}]{% endif %}{% endfor %}",
    );
    let mut bench = Bench::with("a.jsonl", CHATS);
    let section = bench.section("a.jsonl");
    let mask = bench.prepare_with(&section, &tokenizer).unwrap().mask;
    let names: Vec<_> = mask.train.roles.keys().map(|role| role.name()).collect();
    assert_eq!(names, ["assistant", "end of turn", "not told apart"]);
    assert_eq!(mask.train.roles[&TokenRole::Unplaced].learned, 0);
}

#[test]
fn whoever_answers_is_held_to_what_was_trained() {
    let mut bench = Bench::with("a.jsonl", CHATS);
    let section = bench.section("a.jsonl");
    bench.prepare(&section).unwrap();
    let mask = Shards::open(&bench.out()).unwrap().manifest().mask.clone();
    assert_eq!(mask.probes.len(), 1);
    let prompt = TOKENIZER.decode(&mask.probes[0].prompt_ids, false).unwrap();
    assert!(prompt.ends_with("<|im_start|>assistant\n"), "{prompt}");
    mask.check(&TOKENIZER).unwrap();

    let told = |tokenizer: &ChatTokenizer| mask.check(tokenizer).unwrap_err().to_string();
    let (_dir, other) = with_bos(&template("", "", "{{ eos_token }}"));
    assert_eq!(
        told(&other),
        "the chat template is not the one that the rows were rendered with"
    );
    let dir = trained();
    let path = dir.path().join("tokenizer.json");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, text + "\n").unwrap();
    let other = ChatTokenizer::load(dir.path(), "auto").unwrap();
    assert_eq!(
        told(&other),
        "`tokenizer.json` is not the one that the rows were encoded with"
    );
    let mut moved = mask.clone();
    moved.probes[0].ids[1] = 3;
    let was = TOKENIZER.token(3);
    let is = TOKENIZER.token(mask.probes[0].ids[1]);
    let error = moved.check(&TOKENIZER).unwrap_err().to_string();
    let end =
        format!("becomes other tokens than it was trained with: token 1 is `{is}`, it was `{was}`");
    assert!(
        error.starts_with("the row `") && error.ends_with(&end),
        "{error}"
    );
}

#[test]
fn a_template_that_tells_the_date_is_asked_for_the_day_of_training() {
    let dated = template(
        "{{ bos_token }}{{ strftime_now('%d %b %Y') }}",
        "",
        "{{ eos_token }}",
    );
    let (dir, tokenizer) = with_bos(&dated);
    let mut bench = Bench::with("a.jsonl", CHATS);
    let section = bench.section("a.jsonl");
    let day = tokenizer.at(1_721_952_000);
    let mask = bench.prepare_with(&section, &day).unwrap().mask;
    assert_eq!(mask.rendered_at, 1_721_952_000);
    let later = ChatTokenizer::load(dir.path(), "auto").unwrap();
    mask.check(&later).unwrap();
}
