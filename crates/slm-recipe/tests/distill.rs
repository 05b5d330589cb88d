//! `[distill]`: every key is read and written, and has a range.

use serde_json::json;
use slm_recipe::Recipe;

/// A recipe with a teacher, and these lines in `[distill]`.
fn load(lines: &str) -> Result<Recipe, String> {
    let text = format!(
        "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n\
         [distill]\nteacher.path = \"teacher\"\n{lines}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    Recipe::load(&path, &[]).map_err(|errors| errors.to_string())
}

#[test]
fn every_key_is_read_and_written() {
    for (key, value, others) in [
        ("method", json!("logits"), ""),
        ("alpha", json!(0.9), ""),
        ("temperature", json!(1.5), ""),
        ("loss", json!("uld"), ""),
        ("divergence", json!("reverse_kl"), ""),
        ("divergence", json!("tvd"), ""),
        ("beta", json!(0.1), "divergence = \"jsd\""),
        ("lmbda", json!(0.25), ""),
        ("seq_kd", json!(true), ""),
        ("generation.max_new_tokens", json!(7), "lmbda = 1"),
        ("generation.temperature", json!(0.0), "seq_kd = true"),
        ("generation.top_p", json!(0.9), "lmbda = 0.5"),
        ("hidden.weight", json!(0.5), ""),
        ("hidden.loss", json!("cosine"), "hidden.weight = 1"),
        ("hidden.layers", json!("uniform"), "hidden.weight = 1"),
        (
            "hidden.layers",
            json!([[0, 3], [1, 7]]),
            "hidden.weight = 1",
        ),
        ("cache_dir", json!("cache"), ""),
        ("top_k", json!(64), ""),
        ("mass", json!(1.0), ""),
        ("max_gap", json!(0.1), ""),
        ("teacher.revision", json!("v1"), ""),
        ("teacher.adapter", json!("adapter"), ""),
        ("teacher.dtype", json!("bf16"), ""),
        ("teacher.device", json!("libtorch:cuda:1"), ""),
    ] {
        let recipe = load(&format!("{others}\n{key} = {value}")).unwrap();
        let section = serde_json::to_value(&recipe.distill).unwrap();
        let place = format!("/{}", key.replace('.', "/"));
        assert_eq!(section.pointer(&place), Some(&value), "`{key}`");
        let again: Recipe = toml::from_str(&recipe.to_toml()).unwrap();
        assert_eq!(again.distill, recipe.distill, "`{key}`");
    }
}

#[test]
fn figures_have_ranges() {
    for (line, needed) in [
        (
            "alpha = 0",
            "`distill.alpha` is 0, needs more than 0 and at most 1",
        ),
        (
            "temperature = 0",
            "`distill.temperature` is 0, needs more than 0",
        ),
        (
            "top_k = 0",
            "`distill.top_k` is 0, needs at least 1 and at most 65535",
        ),
        (
            "lmbda = 1.5",
            "`distill.lmbda` is 1.5, needs at least 0 and at most 1",
        ),
        (
            "mass = 1.5",
            "`distill.mass` is 1.5, needs more than 0 and at most 1",
        ),
        (
            "divergence = \"kl\"",
            "`distill.divergence` is `kl`, needs one of `forward_kl`, `reverse_kl`, `jsd`, `tvd`",
        ),
        (
            "hidden.weight = -1",
            "`distill.hidden.weight` is -1, needs at least 0",
        ),
        (
            "hidden.weight = 1\nhidden.layers = [[0, 1, 2]]",
            "`distill.hidden.layers.0` is a list of 3 elements, needs 2 elements",
        ),
        (
            "hidden.weight = 1\nhidden.layers = []",
            "`distill.hidden.layers` is empty, needs at least one element",
        ),
        (
            "hidden.weight = 1\nhidden.layers = \"last\"",
            "`distill.hidden.layers` is `last`, needs one of `uniform`",
        ),
        (
            "kd_ratio = 0.5",
            "unknown key `distill.kd_ratio`; did you mean `distill.alpha`?",
        ),
    ] {
        let told = load(line).unwrap_err();
        assert!(told.contains(needed), "{told}");
    }
}

#[test]
fn generated_answers_need_a_teacher_that_is_there() {
    for (lines, needed) in [
        (
            "lmbda = 0.5\ncache_dir = \"cache\"",
            "`distill.lmbda` has answers generated anew, of which no cache knows anything; needs a teacher that is asked in every step, without `distill.cache_dir`",
        ),
        (
            "seq_kd = true\nlmbda = 1",
            "with `distill.lmbda = 1` the student answers every prompt itself, and `distill.seq_kd` never comes up",
        ),
        (
            "seq_kd = true\n[data]\npacking = true",
            "`distill.seq_kd` answers the prompt of each row; needs `data.packing = false`",
        ),
        (
            "loss = \"uld\"\ndivergence = \"tvd\"",
            "`distill.divergence` is not read with `distill.loss = \"uld\"`, which compares sorted probabilities",
        ),
        (
            "loss = \"uld\"\nseq_kd = true",
            "`distill.seq_kd` has the teacher's tokens learned, and with `distill.loss = \"uld\"` they are not the student's",
        ),
        (
            "loss = \"uld\"\ncache_dir = \"cache\"",
            "`distill.loss = \"uld\"` compares whole distributions, which a cache does not have; needs a teacher that is asked in every step, without `distill.cache_dir`",
        ),
        (
            "generation.top_p = 0.5",
            "`distill.generation` is read with `distill.lmbda` above 0 or `distill.seq_kd`",
        ),
    ] {
        let told = load(lines).unwrap_err();
        assert!(told.contains(needed), "{told}");
    }
}

/// The teacher's layers are only there where the teacher is, and reads the student's tokens.
#[test]
fn layers_need_a_teacher_that_is_there() {
    for (lines, needed) in [
        (
            "hidden.weight = 1\ncache_dir = \"cache\"",
            "r.toml:6:8 `distill.hidden.weight` compares layers, of which a cache has nothing; needs a teacher that is asked in every step, without `distill.cache_dir`",
        ),
        (
            "hidden.weight = 1\nloss = \"uld\"",
            "r.toml:6:8 `distill.hidden.weight` compares the states of one token, and with `distill.loss = \"uld\"` the teacher has tokens of its own; needs `distill.loss = \"divergence\"`",
        ),
        (
            "hidden.weight = 1\nmethod = \"sequence\"",
            "`distill.hidden.weight` is about a teacher on this machine; needs `distill.method = \"logits\"`",
        ),
        (
            "hidden.weight = 1\nhidden.layers = [[0, 1], [2, 3], [0, 2]]",
            "r.toml:7:8 `distill.hidden.layers` has the student's layer 0 follow two layers; needs one",
        ),
        (
            "hidden.loss = \"cosine\"",
            "`distill.hidden` is read with `distill.hidden.weight` above 0",
        ),
    ] {
        let told = load(lines).unwrap_err();
        let told: Vec<_> = told.split_whitespace().collect();
        let told = told.join(" ");
        assert!(told.contains(needed), "{told}");
    }
}

#[test]
fn without_the_section_there_is_no_teacher() {
    let recipe = load("").unwrap();
    assert_eq!(recipe.distill.unwrap().teacher.path, "teacher");
    assert_eq!(Recipe::default().distill, None);
    assert!(!Recipe::default().to_toml().contains("distill"));
}
