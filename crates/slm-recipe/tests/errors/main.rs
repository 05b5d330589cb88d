//! What a user reads when a recipe is wrong: every message, with its place.

mod contradictions;
mod exports;
mod keys;
mod models;
mod rows;

use slm_recipe::{Recipe, RecipeErrors};

/// A recipe that is right, three lines long; what follows it begins on line 4.
const RIGHT: &str = "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n";

fn load(text: &str, overrides: &[&str]) -> Result<Recipe, RecipeErrors> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    fs_err::write(&path, text).unwrap();
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    Recipe::load(&path, &overrides)
}

/// The lines of the message without the heading; columns of places are squeezed.
fn problems(text: &str, overrides: &[&str]) -> Vec<String> {
    let Err(errors) = load(text, overrides) else {
        return Vec::new();
    };
    let folder = errors.recipe.parent().unwrap().display().to_string() + "/";
    let text = errors.to_string().replace(&folder, "");
    let (heading, lines) = text.split_once('\n').unwrap();
    let lines: Vec<_> = lines
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let plural = if lines.len() == 1 { "" } else { "s" };
    assert_eq!(
        heading,
        format!("recipe `r.toml` has {} problem{plural}", lines.len())
    );
    lines
}

/// Checks `RIGHT` with more lines.
#[track_caller]
fn assert_problems(more: &str, expected: &[&str]) {
    assert_eq!(
        problems(&format!("{RIGHT}{more}"), &[]),
        expected,
        "for:\n{more}"
    );
}

#[test]
fn the_right_one_is_right() {
    assert_problems("", &[]);
}

#[test]
fn the_message_as_a_whole() {
    let text = "[model]\nbase_model = \"b\"\n[[data.train]]\npath = \"p\"\n[lora]\nrank = 8\n[train]\nlearning_rate = \"1e-4\"\n";
    let errors = load(text, &[]).unwrap_err();
    let folder = errors.recipe.parent().unwrap().display().to_string() + "/";
    assert_eq!(
        errors.to_string().replace(&folder, ""),
        "recipe `r.toml` has 2 problems\n\
         \x20 r.toml:6:1  unknown key `lora.rank`; did you mean `lora.r`?\n\
         \x20 r.toml:8:17 `train.learning_rate` is a string, needs a number"
    );
    assert_eq!(
        errors.hint().as_deref(),
        Some("`recipes/reference.toml` has every key with its default")
    );
}

#[test]
fn overrides() {
    let wrong = |text: &str| problems(RIGHT, &[text]);
    assert_eq!(
        wrong("train.learning_rate=fast"),
        ["override `train.learning_rate=fast` `train.learning_rate` is a string, needs a number"]
    );
    assert_eq!(
        wrong("lora.rank=4"),
        ["override `lora.rank=4` unknown key `lora.rank`; did you mean `lora.r`?"]
    );
    assert_eq!(
        wrong("lora.r"),
        ["override `lora.r` has no `=`, needs `key=value`"]
    );
    assert_eq!(
        wrong("lora..r=1"),
        ["override `lora..r=1` has an empty key, needs `section.key=value`"]
    );
    assert_eq!(
        wrong("extends=x"),
        ["override `extends=x` `extends` belongs into the recipe"]
    );
    assert_eq!(
        wrong("data.train.1.path=x"),
        ["override `data.train.1.path=x` `1` is no element: the list has 1, counted from 0"]
    );
    assert_eq!(
        wrong("model.base_model.x=1"),
        ["override `model.base_model.x=1` `x` is below a value that is no table"]
    );
    assert_eq!(
        wrong("train.max_steps=-1"),
        ["override `train.max_steps=-1` `train.max_steps` is -1, needs at least 0"]
    );
    assert_eq!(
        wrong("data.val_every=1"),
        [
            "override `data.val_every=1` `data.val_every` is 1 and holds out every row; needs 0 or at least 2"
        ]
    );
    assert_eq!(wrong("data.labels=[1").len(), 1);
}

#[test]
fn a_recipe_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("r.toml");
    let errors = Recipe::load(&missing, &[]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        format!(
            "cannot read recipe `{}`: it does not exist",
            missing.display()
        )
    );
    assert!(errors.hint().is_some());
    fs_err::write(&missing, b"name = \"\xff\"").unwrap();
    let errors = Recipe::load(&missing, &[]).unwrap_err();
    assert!(errors.to_string().contains("it is not UTF-8"), "{errors}");
}

#[test]
fn what_is_no_toml() {
    assert_eq!(
        problems("seed = \nname = = 3\n", &[]).len(),
        2,
        "all syntax errors at once"
    );
    assert_eq!(
        problems("a = 1\na = 2\n", &[]),
        ["r.toml:2:1 duplicate key"]
    );
}

#[test]
fn what_is_wrong_by_itself_is_not_reported_twice() {
    assert_eq!(
        problems("model = 1\n[[data.train]]\npath = \"p\"", &[]),
        ["r.toml:1:9 `model` is an integer, needs a section `[model]`"]
    );
    assert_problems(
        "[data]\nval_every = \"5\"\nval_size = 0.5",
        &["r.toml:5:13 `data.val_every` is a string, needs an integer"],
    );
    assert_problems(
        "[train]\nmax_steps = -1\nnum_train_epochs = 0",
        &["r.toml:5:13 `train.max_steps` is -1, needs at least 0"],
    );
}
