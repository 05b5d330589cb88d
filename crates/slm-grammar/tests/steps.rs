//! What a constraint says step by step, over a vocabulary of single bytes and a few longer tokens.

use serde_json::json;
use slm_grammar::{Constraint, Grammar, GrammarError, Vocabulary};

/// Token `i` is the byte `i`, up to 127; then longer ones.
const LONGER: [&str; 4] = ["card", " card", " arr", "{\""];

fn vocabulary() -> Vocabulary {
    let bytes = (0..128u8).map(|byte| vec![byte]);
    let longer = LONGER.map(|token| token.as_bytes().to_vec());
    Vocabulary::new(bytes.chain(longer).collect()).expect("a vocabulary")
}

fn over(grammar: Result<Grammar, GrammarError>) -> Constraint {
    let grammar = grammar.expect("a grammar");
    grammar.over(&vocabulary()).expect("it has texts")
}

/// The allowed tokens as texts.
fn allowed(constraint: &mut Constraint) -> Vec<String> {
    let mut found = Vec::new();
    let spell = |id: u32| match id.checked_sub(128) {
        Some(at) => LONGER[at as usize].to_string(),
        None => char::from(id as u8).to_string(),
    };
    constraint
        .for_each_allowed(|id| found.push(spell(id)))
        .expect("it goes on or ends");
    found
}

fn write(constraint: &mut Constraint, text: &str) {
    for byte in text.bytes() {
        constraint.advance(byte.into()).expect("it is allowed");
    }
}

#[test]
fn a_label_that_begins_another_may_end_or_go_on() {
    let mut it = over(Grammar::labels(&["card", "card arrival", "top up"]));
    assert_eq!(allowed(&mut it), ["\n", " ", "c", "t", "card", " card"]);
    assert!(!it.may_end().unwrap());
    it.advance(129).unwrap();
    assert_eq!(it.text(), " card");
    assert!(it.may_end().unwrap() && !it.is_complete());
    assert_eq!(allowed(&mut it), [" ", " arr"]);
    it.advance(130).unwrap();
    assert!(!it.may_end().unwrap());
    write(&mut it, "ival");
    assert!(it.may_end().unwrap() && it.is_complete());
    assert_eq!(allowed(&mut it), [""; 0]);
}

#[test]
fn json_is_complete_with_its_last_brace() {
    let schema = json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": false,
    });
    let mut it = over(Grammar::json_schema(&schema));
    assert_eq!(allowed(&mut it), ["\n", " ", "{", "{\""]);
    write(&mut it, "{\"n\": -1");
    assert!(!it.may_end().unwrap());
    write(&mut it, "2 }");
    assert!(it.is_complete());
}

#[test]
fn blanks_in_json_come_to_an_end() {
    let mut it = over(Grammar::json_schema(&json!({"const": [1, 2]})));
    write(&mut it, "[\n                1");
    assert!(!allowed(&mut it).contains(&"\t".to_string()));
    write(&mut it, ", 2 ");
    assert_eq!(allowed(&mut it), ["]"]);
    let mut anything = over(Grammar::json_schema(&json!(true)));
    write(&mut anything, " {\"a\" :\n 1 }");
    assert!(anything.is_complete());
}

#[test]
fn a_token_outside_leaves_the_answer_as_it_was() {
    let mut it = over(Grammar::regex("[ab]+"));
    write(&mut it, "ab");
    for outside in [u32::from(b'c'), 131, 132, 9999] {
        let error = it.advance(outside).expect_err("it is outside");
        assert_eq!(
            error.to_string(),
            format!("token {outside} does not continue the answer `ab` within the regex `[ab]+`")
        );
    }
    write(&mut it, "b");
    assert_eq!(it.text(), "abb");
}

#[test]
fn rows_do_not_disturb_each_other() {
    let fresh = over(Grammar::regex("a(b|c)d"));
    let (mut one, mut other) = (fresh.clone(), fresh);
    write(&mut one, "ab");
    write(&mut other, "a");
    assert_eq!(allowed(&mut other), ["b", "c"]);
    assert_eq!(allowed(&mut one), ["d"]);
}

#[test]
fn only_the_empty_text_is_complete_at_once() {
    // The blank before it may still come.
    let mut it = over(Grammar::regex(""));
    assert!(it.may_end().unwrap());
    assert_eq!(allowed(&mut it), ["\n", " "]);
}

#[test]
fn a_grammar_without_texts_is_refused() {
    let refused = |grammar: Result<Grammar, GrammarError>| {
        let error = grammar.expect("well formed").over(&vocabulary());
        error.expect_err("it has no text").to_string()
    };
    assert_eq!(
        refused(Grammar::regex("[a&&b]")),
        "the regex `[a&&b]` cannot be followed: no token begins any of its texts"
    );
    let schema = json!({"type": "integer", "minimum": 3, "maximum": 2});
    assert_eq!(
        refused(Grammar::json_schema(&schema)),
        "the JSON schema cannot be followed: Unsatisfiable schema: minimum (3) is greater than maximum (2)"
    );
    assert_eq!(
        refused(Grammar::json_schema(
            &json!({"type": "string", "format": "colour"})
        )),
        "the JSON schema cannot be followed: Unknown format: colour"
    );
}

#[test]
fn a_vocabulary_that_lacks_a_byte_is_a_dead_end() {
    let vocabulary = Vocabulary::new(vec![b"a".to_vec()]).expect("a vocabulary");
    let grammar = Grammar::regex("ab").expect("a regex");
    let mut it = grammar.over(&vocabulary).expect("it has texts");
    it.advance(0).unwrap();
    let error = it.for_each_allowed(|_| {}).expect_err("no b");
    assert_eq!(
        error.to_string(),
        "no token of the vocabulary continues the answer `a` within the regex `ab`"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("byte fallback"))
    );
}
