//! Rows in the tokens of another model: where both begin a token at the same place of the text, both predict the same thing.

use std::collections::HashMap;
use std::ops::Range;

use slm_text::{ChatTokenizer, TextError};

use crate::sample::Sample;

/// Writes a student's rows in its teacher's tokens.
///
/// Text between special tokens, and between what is learned and what is not, is encoded by itself. A special token is the teacher's of
/// the same text, or its EOS for the student's; any other is spelled out. BOS is the teacher's own.
#[derive(Debug)]
pub struct Translator {
    teacher: ChatTokenizer,
    /// What each token spells; nothing of those that are special.
    student_bytes: Vec<Vec<u8>>,
    teacher_bytes: Vec<Vec<u8>>,
    /// A special token of the student in the teacher's.
    special: HashMap<u32, Vec<u32>>,
    /// What the student puts before a text.
    bos: Option<u32>,
}

/// Rows of a student cannot be written in its teacher's tokens.
#[derive(Debug, thiserror::Error)]
#[error("failed to write rows in the teacher's tokens")]
pub struct TranslationError(#[from] TextError);

impl TranslationError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some("take a teacher and a student whose tokens spell a text one after the other, as byte-level ones do".into())
    }
}

/// A row in a teacher's tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translated {
    /// What the teacher reads. Of it, those tokens are learned that begin where a learned token of the student begins.
    pub sample: Sample,
    /// Which of the student's learned tokens these are, ascending, counted from 0 among those that a model is asked to predict.
    pub places: Vec<usize>,
}

/// Places of the student's and of the teacher's tokens that begin together.
type Both = Vec<(usize, usize)>;

impl Translator {
    /// Between two tokenizers.
    ///
    /// # Errors
    /// One of them does not spell a text token by token.
    pub fn new(student: &ChatTokenizer, teacher: ChatTokenizer) -> Result<Self, TranslationError> {
        let student_bytes = student.token_bytes()?;
        let teacher_bytes = teacher.token_bytes()?;
        let mut special = HashMap::new();
        for id in (0..).zip(&student_bytes).filter(|(_, it)| it.is_empty()) {
            let id: u32 = id.0;
            let same = teacher.encode(&student.token(id), false)?;
            let end = teacher.eos_id().filter(|_| student.eos_id() == Some(id));
            let ids = match (same.len(), end) {
                (1, _) | (_, None) => same,
                (_, Some(end)) => vec![end],
            };
            special.insert(id, ids);
        }
        Ok(Self {
            bos: student.bos_id(),
            teacher,
            student_bytes,
            teacher_bytes,
            special,
        })
    }

    /// A row in the teacher's tokens.
    ///
    /// # Errors
    /// The teacher's tokenizer fails.
    pub fn translate(&self, row: &Sample) -> Result<Translated, TranslationError> {
        let mut it = Translated {
            sample: Sample::new(row.row, Vec::new(), Vec::new()),
            places: Vec::new(),
        };
        let ranks = ranks(row);
        for mut places in row.conversations() {
            let first = [places.start, it.sample.ids.len()];
            if first[1] > 0 {
                it.sample.breaks.push(first[1] as u32);
            }
            let bos = self.teacher.bos_id().filter(|_| self.teacher.adds_bos());
            it.push(bos.as_slice());
            if self
                .bos
                .is_some_and(|bos| row.ids.get(first[0]) == Some(&bos))
            {
                places.start += 1;
            }
            for segment in self.segments(row, places) {
                let from = it.sample.ids.len();
                let (ids, both) = self.segment(&row.ids[segment.clone()])?;
                it.push(&ids);
                for (of_student, of_teacher) in both {
                    let (at, to) = (segment.start + of_student, from + of_teacher);
                    // The first token of a conversation is not predicted.
                    if row.learn[at] && at > first[0] && to > first[1] {
                        it.sample.learn[to] = true;
                        it.places.push(ranks[at]);
                    }
                }
            }
        }
        Ok(it)
    }

    /// The places of a conversation, cut at special tokens and where learning begins or ends.
    fn segments(&self, row: &Sample, places: Range<usize>) -> Vec<Range<usize>> {
        let mut segments: Vec<Range<usize>> = Vec::new();
        for at in places {
            let is_special = self.is_special(row.ids[at]);
            let goes_on = segments.last().is_some_and(|last| {
                !is_special
                    && !self.is_special(row.ids[last.start])
                    && row.learn[last.start] == row.learn[at]
            });
            match segments.last_mut().filter(|_| goes_on) {
                Some(last) => last.end = at + 1,
                None => segments.push(at..at + 1),
            }
        }
        segments
    }

    fn is_special(&self, id: u32) -> bool {
        self.student_bytes
            .get(id as usize)
            .is_none_or(Vec::is_empty)
    }

    /// Some of a row's ids in the teacher's, and the places of both that begin at the same byte.
    fn segment(&self, ids: &[u32]) -> Result<(Vec<u32>, Both), TextError> {
        if self.is_special(ids[0]) {
            let same = self.special.get(&ids[0]).cloned().unwrap_or_default();
            let both = if same.len() == 1 {
                vec![(0, 0)]
            } else {
                Vec::new()
            };
            return Ok((same, both));
        }
        let spelled = spelled(ids, &self.student_bytes);
        // Bytes that are no text are no text to the teacher either: it reads what is left of them, and nothing is compared.
        let text = String::from_utf8_lossy(&spelled);
        let same = self.teacher.encode(&text, false)?;
        let by_teacher = self::spelled(&same, &self.teacher_bytes);
        // Tokenizers of SentencePiece's kind put a blank before a text.
        let blank = match by_teacher.strip_suffix(&spelled[..]) {
            Some(b"") => 0,
            Some(b" ") => 1,
            _ => return Ok((same, Vec::new())),
        };
        let of_student = starts(ids, &self.student_bytes, 0);
        let of_teacher: HashMap<usize, usize> = starts(&same, &self.teacher_bytes, blank)
            .into_iter()
            .collect();
        let both = of_student.into_iter();
        let both = both.filter_map(|(byte, at)| Some((at, *of_teacher.get(&byte)?)));
        Ok((same, both.collect()))
    }
}

impl Translated {
    fn push(&mut self, ids: &[u32]) {
        self.sample.ids.extend(ids);
        self.sample.learn.resize(self.sample.ids.len(), false);
    }
}

/// How many tokens that a model is asked to predict are learned before each place.
fn ranks(row: &Sample) -> Vec<usize> {
    let (mut ranks, mut before) = (Vec::with_capacity(row.ids.len()), 0);
    for places in row.conversations() {
        for at in places.clone() {
            ranks.push(before);
            before += usize::from(row.learn[at] && at > places.start);
        }
    }
    ranks
}

fn spelled(ids: &[u32], bytes: &[Vec<u8>]) -> Vec<u8> {
    let each = ids.iter().filter_map(|id| bytes.get(*id as usize));
    each.flatten().copied().collect()
}

/// The byte at which each token begins, and the token's place; `before` bytes at the beginning do not count.
fn starts(ids: &[u32], bytes: &[Vec<u8>], before: usize) -> Vec<(usize, usize)> {
    let mut byte = 0_usize;
    let mut found = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        let length = bytes.get(*id as usize).map_or(0, Vec::len);
        // Nothing begins inside of what does not count, but for a first token that goes on behind it.
        if byte >= before || length > before {
            found.push((byte.saturating_sub(before), at));
        }
        byte += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;
    use slm_text::TokenizerFile;

    use super::*;

    /// A byte-level tokenizer of letters, blanks and some words, each of which begins with another one or a letter.
    fn tokenizer(words: &[&str], special: &[&str]) -> ChatTokenizer {
        let letters = ('a'..='z').chain("Ġ<>|".chars()).map(String::from);
        let tokens: Vec<String> = letters.chain(words.iter().map(|it| (*it).into())).collect();
        let vocab: serde_json::Map<_, _> = (0..)
            .zip(&tokens)
            .map(|(id, token)| (token.clone(), json!(id as u32)))
            .collect();
        let merge = |word: &&str| {
            let last = word.char_indices().last().unwrap().0;
            json!([&word[..last], &word[last..]])
        };
        let added = special.iter().enumerate().map(|(i, text)| {
            json!({
                "id": tokens.len() + i, "content": text, "special": true, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false
            })
        });
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        let tokenizer = json!({
            "version": "1.0", "added_tokens": added.collect::<Vec<_>>(), "normalizer": null, "post_processor": null,
            "pre_tokenizer": bytes, "decoder": bytes,
            "model": {"type": "BPE", "vocab": vocab, "merges": words.iter().map(merge).collect::<Vec<_>>()},
        });
        let config = json!({"eos_token": special.last()});
        let file = |name: &str, value: &serde_json::Value| TokenizerFile {
            name: name.into(),
            bytes: value.to_string().into_bytes(),
        };
        let files = vec![
            file("tokenizer.json", &tokenizer),
            file("tokenizer_config.json", &config),
        ];
        ChatTokenizer::from_files(Path::new("toy"), files).unwrap()
    }

    /// Of a row of a prompt and an answer with its end: what the teacher reads, token by token, with a bar before those that are
    /// compared; and the student's tokens that they are compared with.
    fn translated(
        student: &ChatTokenizer,
        teacher: ChatTokenizer,
        breaks: &[u32],
    ) -> (String, Vec<usize>) {
        let row = student.encode_pair("<|u|>see", " the sea", true).unwrap();
        let mut sample = Sample::new(3, row.ids, row.learn);
        sample.breaks = breaks.to_vec();
        let names: Vec<String> = (0..teacher.vocab_size() as u32)
            .map(|id| teacher.token(id))
            .collect();
        let found = Translator::new(student, teacher)
            .unwrap()
            .translate(&sample)
            .unwrap();
        let tokens = found.sample.ids.iter().zip(&found.sample.learn);
        let shown = tokens.map(|(id, learn)| {
            let bar = if *learn { "|" } else { "" };
            format!("{bar}{}", names[*id as usize])
        });
        assert_eq!(found.sample.row, 3);
        assert_eq!(found.sample.learned(), found.places.len());
        (shown.collect::<Vec<_>>().join(" "), found.places)
    }

    #[test]
    fn tokens_are_compared_where_both_begin() {
        // ` the`, ` s`, `ea`, and the end, after `<|u|>`, `se`, `e`.
        let student = tokenizer(
            &["Ġt", "Ġth", "Ġthe", "Ġs", "se", "ea"],
            &["<|u|>", "<|end|>"],
        );
        // ` th`, `e`, ` sea`; it has another end, and spells `<|u|>`.
        let teacher = tokenizer(&["Ġt", "Ġth", "Ġs", "Ġse", "Ġsea"], &["<eos>"]);
        let (shown, places) = translated(&student, teacher, &[]);
        assert_eq!(shown, "< | u | > s e e | th e | sea |<eos>");
        assert_eq!(places, [0, 1, 3]);
    }

    #[test]
    fn the_same_tokenizer_gives_the_same_row() {
        let make = || tokenizer(&["Ġt", "Ġth", "se"], &["<|u|>", "<|end|>"]);
        let (shown, places) = translated(&make(), make(), &[]);
        assert_eq!(shown, "<|u|> se e | th |e |  |se |a |<|end|>");
        assert_eq!(places, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_first_token_of_a_conversation_is_not_compared() {
        let make = || tokenizer(&["Ġt", "Ġth", "se"], &["<|u|>", "<|end|>"]);
        let (_, places) = translated(&make(), make(), &[3]);
        // ` th` begins the second one, and is counted by nobody.
        assert_eq!(places, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_blank_before_a_text_does_not_count() {
        let bytes = [" a", "b", " ", "a"].map(|it| it.as_bytes().to_vec());
        assert_eq!(starts(&[0, 1], &bytes, 1), [(0, 0), (1, 1)]);
        assert_eq!(starts(&[2, 3, 1], &bytes, 1), [(0, 1), (1, 2)]);
        assert_eq!(starts(&[3, 1], &bytes, 0), [(0, 0), (1, 1)]);
    }
}
