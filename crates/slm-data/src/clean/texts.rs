//! Steps that look at each row by itself.

use slm_recipe::{CleanSection, Unicode};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::boilerplate::strip;
use super::html::without_tags;
use super::{CleanRecord, CleanStep};
use crate::content::Where;
use crate::example::Example;

/// Changes the texts of a row; gives a record of each step that does.
pub(crate) fn texts(section: &CleanSection, row: &mut Example) -> Vec<CleanRecord> {
    let mut records = Vec::new();
    if section.unicode == Unicode::Nfc {
        let compose = |text: &str, _: Where| (!is_nfc(text)).then(|| text.nfc().collect());
        records.extend(edit(row, CleanStep::Unicode, compose));
    }
    if section.strip_html {
        // What a tool is called with is code.
        let strip = |text: &str, at: Where| match at {
            Where::Said => without_tags(text),
            Where::Field => None,
        };
        records.extend(edit(row, CleanStep::Html, strip));
    }
    if section.strip_boilerplate {
        records.extend(strip(row));
    }
    records
}

/// Replaces texts of a row; gives the record if this changes it.
fn edit(
    row: &mut Example,
    step: CleanStep,
    edit: impl Fn(&str, Where) -> Option<String>,
) -> Option<CleanRecord> {
    let before = row.clone();
    let changed = row.content.edit(&mut |text, at| edit(text, at));
    changed.then(|| CleanRecord::changed(&before, row, step))
}

/// The record of a row that is left out since it is too short or too long.
pub(crate) fn misfit(section: &CleanSection, row: &Example) -> Option<CleanRecord> {
    let (least, most) = (section.min_chars, section.max_chars);
    // What is tokens has no texts to count.
    if (least == 0 && most == 0) || row.content.is_tokens() {
        return None;
    }
    let chars = row.content.chars();
    let fits = chars >= least && (most == 0 || chars <= most);
    (!fits).then(|| CleanRecord::left_out(row, CleanStep::Length, None))
}
