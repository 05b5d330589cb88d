//! A served teacher and a judge: every key is read and written, and what cannot be is refused.

use serde_json::{Value, json};
use slm_recipe::{JudgeMode, Recipe, Rubric};

const TEACHER: &str = "teacher.base_url = \"http://localhost:8000/v1\"\nteacher.model = \"m\"\nteacher.budget_tokens = 1000\n";

/// A recipe with these lines in `[distill]`.
fn load(lines: &str) -> Result<Recipe, Vec<String>> {
    let text = format!(
        "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n[distill]\nmethod = \"sequence\"\n{lines}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    Recipe::load(&path, &[]).map_err(|errors| problems(&errors.to_string()))
}

fn rubric(text: &str) -> Result<Rubric, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judge.toml");
    fs_err::write(&path, text).unwrap();
    Rubric::load(&path, &[]).map_err(|errors| problems(&errors.to_string()))
}

/// What is said behind each place.
fn problems(text: &str) -> Vec<String> {
    let problem = |line: &str| {
        Some(
            line.trim()
                .split_once(".toml:")?
                .1
                .split_once(' ')?
                .1
                .trim()
                .to_owned(),
        )
    };
    text.lines().filter_map(problem).collect()
}

#[test]
fn every_key_is_read_and_written() {
    for (key, value, others) in [
        ("teacher.api", json!("completions"), ""),
        ("teacher.api_key_env", json!("TEACHER_KEY"), ""),
        ("teacher.system", json!("Be brief."), ""),
        ("teacher.max_tokens", json!(7), ""),
        ("teacher.temperature", json!(0.7), ""),
        ("teacher.top_p", json!(0.9), ""),
        ("teacher.stop", json!(["x"]), ""),
        ("teacher.samples", json!(3), "teacher.temperature = 1"),
        ("teacher.top_logprobs", json!(5), ""),
        ("teacher.timeout_s", json!(2.5), ""),
        ("teacher.requests_in_flight", json!(2), ""),
        ("teacher.max_retries", json!(0), ""),
        ("teacher.backoff_s", json!(0.1), ""),
        ("teacher.usd_per_million_prompt_tokens", json!(0.5), ""),
        ("teacher.usd_per_million_completion_tokens", json!(1.5), ""),
        (
            "teacher.budget_usd",
            json!(2.0),
            "teacher.usd_per_million_prompt_tokens = 1",
        ),
        ("filters.finished", json!(false), ""),
        ("filters.json", json!(true), ""),
        ("filters.labels", json!(["a"]), ""),
        ("filters.min_chars", json!(2), ""),
        ("filters.max_chars", json!(20), ""),
        (
            "filters.min_agreement",
            json!(0.5),
            "teacher.temperature = 1\nteacher.samples = 2",
        ),
        ("filters.rubric", json!("judge.toml"), ""),
        ("filters.min_score", json!(5.0), ""),
    ] {
        let recipe = load(&format!("{TEACHER}{others}\n{key} = {value}")).unwrap();
        let section = serde_json::to_value(&recipe.distill).unwrap();
        let place = format!("/{}", key.replace('.', "/"));
        assert_eq!(section.pointer(&place), Some(&value), "`{key}`");
        let again: Recipe = toml::from_str(&recipe.to_toml()).unwrap();
        assert_eq!(again.distill, recipe.distill, "`{key}`");
    }
}

#[test]
fn a_local_teacher_has_no_keys_of_a_served_one() {
    let text = "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n[distill]\nteacher.path = \"t\"\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    let recipe = Recipe::load(&path, &[]).unwrap();
    assert!(!recipe.to_toml().contains("base_url"));
}

#[test]
fn what_a_served_teacher_needs() {
    for (lines, problem) in [
        (
            "",
            "missing key `distill.teacher.base_url`: the teacher that answers the prompts, behind an endpoint",
        ),
        (
            "teacher.base_url = \"localhost:8000\"\nteacher.model = \"m\"\nteacher.budget_tokens = 1",
            "`distill.teacher.base_url` is no address; needs one such as `http://localhost:8000/v1`",
        ),
        (
            "teacher.base_url = \"https://me:secret@host/v1\"\nteacher.model = \"m\"\nteacher.budget_tokens = 1",
            "`distill.teacher.base_url` holds more than an address; a key belongs into an environment variable, which `api_key_env` names",
        ),
        (
            &format!("{TEACHER}teacher.api_key_env = \"sk-1234\""),
            "`distill.teacher.api_key_env` is no name of an environment variable such as `OPENAI_API_KEY`; a key itself has no place in a recipe",
        ),
        (
            &format!("{TEACHER}teacher.api_key = \"sk-1234\""),
            "unknown key `distill.teacher.api_key`; did you mean `distill.teacher.api_key_env`?",
        ),
        (
            "teacher.base_url = \"http://h/v1\"\nteacher.model = \"m\"",
            "`distill.teacher.budget_tokens` and `budget_usd` are both 0; needs one",
        ),
        (
            &format!("{TEACHER}teacher.budget_usd = 1"),
            "`distill.teacher.budget_usd` needs prices: `usd_per_million_prompt_tokens` and `usd_per_million_completion_tokens`",
        ),
        (
            &format!("{TEACHER}teacher.samples = 2"),
            "`distill.teacher.samples` is more than 1, and at `temperature` 0 all answers are one",
        ),
        (
            &format!("{TEACHER}teacher.path = \"t\""),
            "`distill.teacher.path` is a teacher on this machine; `method = \"sequence\"` asks one by its `base_url`",
        ),
        (
            &format!("{TEACHER}filters.min_agreement = 0.5"),
            "`distill.filters.min_agreement` compares answers to one prompt; needs `distill.teacher.samples` of at least 2",
        ),
        (
            &format!("{TEACHER}filters.min_chars = 5\nfilters.max_chars = 4"),
            "`distill.filters.max_chars` is less than `distill.filters.min_chars`",
        ),
        (
            &format!("{TEACHER}teacher.top_logprobs = 21"),
            "`distill.teacher.top_logprobs` is 21, needs at least 0 and at most 20",
        ),
    ] {
        let found = load(lines).expect_err(lines);
        assert_eq!(found.first().map(String::as_str), Some(problem), "{lines}");
    }
}

#[test]
fn a_rubric_is_read_and_checked() {
    let endpoint =
        "[endpoint]\nbase_url = \"http://h/v1\"\nmodel = \"judge\"\nbudget_tokens = 10\n";
    let read = rubric(&format!("mode = \"score\"\nprompt = \"{{{{ answer }}}}\"\nmax_samples = 3\nscale = [1, 5]\n{endpoint}")).unwrap();
    assert_eq!(
        (read.mode, read.max_samples, read.scale.as_slice()),
        (JudgeMode::Score, 3, &[1.0, 5.0][..])
    );
    assert_eq!(read.endpoint.model, "judge");
    let found: Value = json!(
        rubric("prompt = \"x\"\nscale = [5, 1]\n[endpoint]\nmodel = \"\"\nbase_url = \"http://h\"")
            .unwrap_err()
    );
    assert_eq!(
        found,
        json!([
            "`scale` needs two numbers, the least and the largest score",
            "`endpoint.budget_tokens` and `budget_usd` are both 0; needs one",
            "`endpoint.model` is empty; needs a name",
        ])
    );
    assert_eq!(
        rubric("promt = \"x\"").unwrap_err(),
        ["unknown key `promt`; did you mean `prompt`?"]
    );
}

#[test]
fn the_rubric_among_the_examples_is_right() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/judge.toml");
    let rubric = Rubric::load(path.as_ref(), &[]).unwrap();
    assert_eq!(rubric.mode, JudgeMode::Pairwise);
}
