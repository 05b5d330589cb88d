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
"#), @"");
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
"#), @"");
}

#[test]
fn a_missing_recipe_is_named() {
    assert_shown!(Sandbox::new().run(&["train", "nowhere.toml"]), @"");
}

#[test]
fn broken_toml_is_shown_where_it_breaks() {
    assert_shown!(check("name = \"x\n[model]\n"), @"");
}

#[test]
fn a_recipe_may_not_extend_what_is_not_there() {
    assert_shown!(check("extends = \"parent.toml\"\n"), @"");
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
    assert_shown!(sandbox.run(&arguments), @"");
}
