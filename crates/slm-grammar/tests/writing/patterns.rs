//! Random regular expressions.

use proptest::prelude::*;

/// A regular expression of a few levels, with at least one text.
pub(crate) fn any() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-c0-1 ]{1,3}",
        Just("é".to_string()),
        Just("👍".to_string()),
        Just(r"\.\n".to_string()),
        Just("[a-f]".to_string()),
        Just(r"\d".to_string()),
        Just(r"[^\s\w]".to_string()),
        Just("(?i:yes)".to_string()),
        Just(".".to_string()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            (
                inner,
                prop_oneof![
                    Just("?"),
                    Just("*"),
                    Just("+"),
                    Just("{2}"),
                    Just("{0,2}"),
                    Just("+?"),
                ]
            )
                .prop_map(|(part, times)| format!("(?:{part}){times}")),
        ]
    })
}
