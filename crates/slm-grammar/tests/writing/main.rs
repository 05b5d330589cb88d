//! Answers that are written at random inside random grammars, token by token, on real tokenizers.
//!
//! What was written is checked by others: labels by comparison, regular expressions by the `regex` crate, JSON by serde_json and
//! a validator of the schemas that are made here. A finished answer is in its grammar; an answer that was cut short is the
//! beginning of one.

mod patterns;
mod schemas;
mod tokenizers;
mod writer;

use proptest::prelude::*;
use regex_automata::MatchKind;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::util::start::Config;
use slm_grammar::Grammar;

use crate::tokenizers::tokenizers;
use crate::writer::{Writer, Written};

/// A text without the blank or line break that may stand before an answer.
fn bare(text: &str) -> &str {
    text.strip_prefix([' ', '\n']).unwrap_or(text)
}

fn checked(grammar: &Grammar, seed: u64, check: impl Fn(&Written) -> Result<(), TestCaseError>) {
    for tokenizer in tokenizers() {
        let constraint = grammar.over(&tokenizer.vocabulary).expect("it has texts");
        for row in 0..2 {
            let written = Writer::new(seed + row).write(tokenizer, constraint.clone());
            if let Err(error) = check(&written) {
                panic!("{written:?} by {}: {error}", tokenizer.name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn an_answer_is_one_of_the_labels(
        labels in proptest::collection::vec("[a-c _é.(]{0,4}[a-cé{]", 1..20),
        seed in any::<u32>(),
    ) {
        let grammar = Grammar::labels(&labels).expect("labels");
        checked(&grammar, seed.into(), |written| {
            let text = bare(&written.text);
            let fits = |label: &String| match written.ended {
                true => text == label.trim(),
                false => label.trim().starts_with(text) || label.trim().as_bytes().starts_with(&written.bytes),
            };
            prop_assert!(labels.iter().any(fits), "none of {labels:?}");
            Ok(())
        });
    }

    #[test]
    fn an_answer_matches_its_regex(regex in patterns::any(), seed in any::<u32>()) {
        let grammar = Grammar::regex(&regex).expect("a regex");
        let whole = regex::Regex::new(&format!("^(?:{regex})$")).expect("a regex");
        let every_match = DFA::config().match_kind(MatchKind::All);
        let dfa = DFA::builder().configure(every_match).build(&regex).expect("an automaton");
        checked(&grammar, seed.into(), |written| {
            match written.ended {
                true => prop_assert!(whole.is_match(bare(&written.text)), "not in /{regex}/"),
                false => prop_assert!(begins(&dfa, &written.bytes), "no beginning in /{regex}/"),
            }
            Ok(())
        });
    }

    #[test]
    fn an_answer_is_json_of_its_schema(schema in schemas::any(), seed in any::<u32>()) {
        let grammar = Grammar::json_schema(&schema).expect("a schema");
        checked(&grammar, seed.into(), |written| {
            match (written.ended, serde_json::from_str(bare(&written.text))) {
                (true, Ok(value)) => prop_assert!(schemas::holds(&schema, &value), "not in {schema}"),
                (true, Err(error)) => prop_assert!(false, "{error}"),
                (false, Ok(_)) => {}
                (false, Err(error)) => prop_assert!(error.is_eof() || written.text.ends_with('\u{fffd}'), "{error}"),
            }
            Ok(())
        });
    }
}

/// Whether some text that the automaton accepts begins with these bytes.
fn begins(dfa: &DFA, bytes: &[u8]) -> bool {
    let mut cache = dfa.create_cache();
    let anchored = Config::new().anchored(regex_automata::Anchored::Yes);
    let mut state = dfa.start_state(&mut cache, &anchored).expect("a state");
    for byte in bytes {
        state = dfa.next_state(&mut cache, state, *byte).expect("a state");
    }
    !state.is_dead() || bytes.is_empty()
}
