//! Where tokens of two vendors' tokenizers begin together, against TRL (`goldens/alignment.json`, made by the script beside it).

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slm_data::{Sample, Translator};
use slm_text::ChatTokenizer;

#[derive(Deserialize)]
struct Case {
    student: String,
    teacher: String,
    text: String,
    /// Of the student and of the teacher.
    ids: [Vec<u32>; 2],
    /// The places of both.
    both: Vec<[usize; 2]>,
}

fn tokenizer(root: &Path, name: &str) -> ChatTokenizer {
    let file = match name {
        "qwen2" => "qwen2/derived/tokenizer.json".into(),
        name => format!("{name}/tokenizer.json"),
    };
    let folder = tempfile::tempdir().unwrap();
    fs_err::copy(root.join(file), folder.path().join("tokenizer.json")).unwrap();
    fs_err::write(folder.path().join("tokenizer_config.json"), "{}").unwrap();
    ChatTokenizer::load(folder.path(), "auto").unwrap()
}

#[test]
fn tokens_begin_together_where_trl_has_them() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root: PathBuf = own.join("../../../shared/tokenizers");
    if !root.exists() {
        eprintln!("skipped: 12 checks need `../shared/tokenizers`");
        return;
    }
    let text = fs_err::read_to_string(own.join("tests/goldens/alignment.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let what = format!("{} to {}: {:?}", case.student, case.teacher, case.text);
        let [student, teacher] = [&case.student, &case.teacher].map(|it| tokenizer(&root, it));
        let prompt = student.encode("Question", false).unwrap();
        let before = [
            prompt.len(),
            teacher.encode("Question", false).unwrap().len(),
        ];
        let ids = [&prompt[..], &case.ids[0]].concat();
        let learn = (0..ids.len()).map(|at| at >= before[0]).collect();
        let translator = Translator::new(&student, teacher).unwrap();
        let found = translator.translate(&Sample::new(0, ids, learn)).unwrap();
        assert_eq!(found.sample.ids[before[1]..], case.ids[1], "{what}");
        let learn = found.sample.learn[before[1]..].iter().enumerate();
        let of_teacher = learn.filter_map(|(at, learn)| learn.then_some(at));
        let both = found
            .places
            .into_iter()
            .zip(of_teacher)
            .map(|(a, b)| [a, b]);
        assert_eq!(both.collect::<Vec<_>>(), case.both, "{what}");
    }
}
