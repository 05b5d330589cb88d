use crate::sandbox::{Sandbox, assert_shown};

fn check(recipe: &str) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("recipe.toml", recipe);
    let shown = sandbox.run(&["train", "recipe.toml"]);
    assert_eq!(sandbox.tree(), ["recipe.toml"], "something was written");
    shown
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    assert_shown!(check(r#"
name = "x"

[model]
base_model = "base"
max_lenght = 64

[[data.train]]
path = "rows.jsonl"

[train]
learning_rate = "fast"
lr_scheduler_type = "cosin"
warmup_ratio = 2.0
"#), @r"
    exit code: 2
    ----- stderr -----
    error: recipe `recipe.toml` has 4 problems
      recipe.toml:6:1   unknown key `model.max_lenght`; did you mean `model.max_length`?
      recipe.toml:12:17 `train.learning_rate` is a string, needs a number
      recipe.toml:13:21 `train.lr_scheduler_type` is `cosin`, needs one of `linear`, `cosine`, `cosine_with_restarts`, `polynomial`, `constant`, `constant_with_warmup`, `inverse_sqrt`, `cosine_with_min_lr`, `warmup_stable_decay`, `reduce_lr_on_plateau`; did you mean `cosine`?
      recipe.toml:14:16 `train.warmup_ratio` is 2, needs at least 0 and at most 1

    hint: `recipes/reference.toml` has every key with its default
    ");
}

#[test]
fn impossible_combinations_are_refused() {
    assert_shown!(check(r#"
[model]
init = "scratch"

[data]
val_size = 0.1
val_every = 10

[[data.train]]
path = "rows.jsonl"

[lora]
r = 0

[train]
num_train_epochs = 0
"#), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `recipe.toml` has 6 problems
      recipe.toml:3:1  missing key `model.config`: `model.init = "scratch"` needs the shape of the model
      recipe.toml:3:1  random weights are no base for an adapter: `model.init = "scratch"` needs `train.method = "full"`
      recipe.toml:3:1  `model.init = "scratch"` needs one tokenizer: a new one by `[tokenizer]`, or that of `model.base_model`
      recipe.toml:7:1  `data.val_every` and `data.val_size` both say what is held out; needs one of them
      recipe.toml:13:5 `lora.r` is 0, needs at least 1
      recipe.toml:16:1 `train.num_train_epochs` and `train.max_steps` are both 0; needs one of them

    hint: `recipes/reference.toml` has every key with its default
    "#);
}

#[test]
fn a_missing_recipe_is_named() {
    assert_shown!(Sandbox::new().run(&["train", "nowhere.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: cannot read recipe `nowhere.toml`: it does not exist

    hint: `slm-tune recipes ls` lists the recipes that come with slm-tune
    ");
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    assert_shown!(check("name = \"x\n[model]\n"), @r#"
    exit code: 2
    ----- stderr -----
    error: recipe `recipe.toml` has 1 problem
      recipe.toml:1:10 invalid basic string, expected `"`
    "#);
}

#[test]
fn a_recipe_may_not_extend_what_is_not_there() {
    assert_shown!(check("extends = \"parent.toml\"\n"), @r"
    exit code: 2
    ----- stderr -----
    error: recipe `recipe.toml` has 1 problem
      recipe.toml:1:11 cannot read `parent.toml`: it does not exist

    hint: `slm-tune recipes ls` lists the recipes that come with slm-tune
    ");
}

#[test]
fn overrides_are_checked_like_the_recipe() {
    let sandbox = Sandbox::new();
    let arguments = [
        "check",
        "adapter.toml",
        "train.learning_rte=1e-4",
        "lora.r=many",
        "seed",
    ];
    assert_shown!(sandbox.run(&arguments), @r"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has 3 problems
      override `lora.r=many`             `lora.r` is a string, needs an integer
      override `seed`                    has no `=`, needs `key=value`
      override `train.learning_rte=1e-4` unknown key `train.learning_rte`; did you mean `train.learning_rate`?

    hint: `recipes/reference.toml` has every key with its default
    ");
}
