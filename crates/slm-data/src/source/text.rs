use std::sync::Arc;

use serde_json::{Map, Value};

use super::Row;
use crate::origin::Origin;

/// One row per line that is not blank, in the column `text`.
pub(super) fn rows(path: &Arc<str>, text: &str) -> (Vec<Row>, Vec<String>) {
    let rows = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| Row {
            origin: Origin::line(path, at + 1),
            fields: Map::from_iter([("text".to_owned(), Value::from(line))]),
        })
        .collect();
    (rows, vec!["text".to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_are_no_rows_but_count_as_lines() {
        let (rows, _) = rows(&"a.txt".into(), "one\r\n\n  \ntwo\n");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].fields["text"], "one");
        assert_eq!(rows[1].origin.to_string(), "a.txt:4");
    }
}
