//! Keys that are not there, and values that are not taken.

use super::{RIGHT, assert_problems, problems};

#[test]
fn unknown_keys() {
    assert_problems(
        "[lora]\nalpha = 3",
        &["r.toml:5:1 unknown key `lora.alpha`; did you mean `lora.lora_alpha`?"],
    );
    assert_problems(
        "[train]\nlearning_rat = 1",
        &["r.toml:5:1 unknown key `train.learning_rat`; did you mean `train.learning_rate`?"],
    );
    assert_problems(
        "[train]\nlr = 1",
        &["r.toml:5:1 unknown key `train.lr`; did you mean `train.learning_rate`?"],
    );
    assert_problems(
        "[train]\n  packing = true",
        &["r.toml:5:3 unknown key `train.packing`; did you mean `data.packing`?"],
    );
    assert_problems(
        "[training]",
        &["r.toml:4:2 unknown key `training`; did you mean `train`?"],
    );
    assert_problems("[quantum]\nfoam = 1", &["r.toml:4:2 unknown key `quantum`"]);
    assert_problems(
        "max_sample = 1",
        &[
            "r.toml:4:1 unknown key `data.train.0.max_sample`; did you mean `data.train.max_samples`?",
        ],
    );
    assert_problems(
        "[model.config.x]",
        &[
            "r.toml:4:8 missing key `model.config.hidden_size`",
            "r.toml:4:8 missing key `model.config.intermediate_size`",
            "r.toml:4:8 missing key `model.config.num_hidden_layers`",
            "r.toml:4:8 missing key `model.config.num_attention_heads`",
            "r.toml:4:8 missing key `model.config.num_key_value_heads`",
            "r.toml:4:8 `model.config` is the shape of a new model; it needs `model.init = \"scratch\"`",
            "r.toml:4:15 unknown key `model.config.x`",
        ],
    );
}

#[test]
fn wrong_types() {
    assert_problems(
        "[lora]\nr = 1.5",
        &["r.toml:5:5 `lora.r` is a float, needs an integer"],
    );
    assert_problems(
        "[lora]\nr = true",
        &["r.toml:5:5 `lora.r` is a boolean, needs an integer"],
    );
    assert_problems(
        "[lora]\nlora_alpha = []",
        &["r.toml:5:14 `lora.lora_alpha` is a list, needs a number"],
    );
    assert_problems(
        "[lora]\ntarget_modules = 3",
        &["r.toml:5:18 `lora.target_modules` is an integer, needs a string or a list"],
    );
    assert_problems(
        "[lora]\ntarget_modules = [\"q\", 3]",
        &["r.toml:5:24 `lora.target_modules.1` is an integer, needs a string"],
    );
    assert_problems(
        "[data]\npacking = 1",
        &["r.toml:5:11 `data.packing` is an integer, needs `true` or `false`"],
    );
    assert_problems(
        "[data]\nformat = 1",
        &["r.toml:5:10 `data.format` is an integer, needs a string"],
    );
    assert_problems(
        "[eval]\ntask = 1",
        &["r.toml:5:8 `eval.task` is an integer, needs a list of `[[eval.task]]`"],
    );
    assert_problems(
        "columns = 1",
        &[
            "r.toml:4:11 `data.train.0.columns` is an integer, needs a table such as `{ prompt = \"question\" }`",
        ],
    );
    assert_problems(
        "columns = { prompt = 1 }",
        &["r.toml:4:22 `data.train.0.columns.prompt` is an integer, needs a string"],
    );
    assert_eq!(
        problems(&format!("lora = 1\nname = 2020-01-01\n{RIGHT}"), &[]),
        [
            "r.toml:1:8 `lora` is an integer, needs a section `[lora]`",
            "r.toml:2:8 `name` is a date, needs a string",
        ]
    );
    assert_eq!(
        problems(&format!("extends = 1\n{RIGHT}"), &[]),
        ["r.toml:1:11 `extends` is an integer, needs a string"]
    );
}

#[test]
fn values_that_are_not_allowed() {
    assert_problems(
        "[data]\noverlong = \"truncate\"",
        &[
            "r.toml:5:12 `data.overlong` is `truncate`, needs one of `error`, `drop`, `truncate_left`, `truncate_right`; \
         did you mean `truncate_left`?",
        ],
    );
    assert_problems(
        "[export]\ngguf = [\"q8_0\", \"Q4_K_M\", \"Q4\"]",
        &[
            "r.toml:5:9 `export.gguf.0` is `q8_0`, needs one of `F32`, `F16`, `BF16`, `Q8_0`, `Q6_K`, `Q5_K_M`, `Q5_K_S`, `Q5_1`, `Q5_0`, `Q4_K_M`, `Q4_K_S`, `Q4_1`, `Q4_0`, `IQ4_NL`, `IQ4_XS`, `Q3_K_L`, `Q3_K_M`, `Q3_K_S`, `Q2_K`; did you mean `Q8_0`?",
            "r.toml:5:27 `export.gguf.2` is `Q4`, needs one of `F32`, `F16`, `BF16`, `Q8_0`, `Q6_K`, `Q5_K_M`, `Q5_K_S`, `Q5_1`, `Q5_0`, `Q4_K_M`, `Q4_K_S`, `Q4_1`, `Q4_0`, `IQ4_NL`, `IQ4_XS`, `Q3_K_L`, `Q3_K_M`, `Q3_K_S`, `Q2_K`; did you mean `Q4_0`?",
        ],
    );
    assert_problems(
        "[lora]\ntarget_modules = \"all_linear\"",
        &[
            "r.toml:5:18 `lora.target_modules` is `all_linear`, needs one of `all-linear`; did you mean `all-linear`?",
        ],
    );
}

#[test]
fn numbers_out_of_range() {
    for (line, expected) in [
        ("[lora]\nr = 0", "`lora.r` is 0, needs at least 1"),
        (
            "[lora]\nlora_alpha = 0",
            "`lora.lora_alpha` is 0, needs more than 0",
        ),
        (
            "[lora]\nlora_dropout = 1",
            "`lora.lora_dropout` is 1, needs at least 0 and less than 1",
        ),
        (
            "[train]\nwarmup_ratio = 1.5",
            "`train.warmup_ratio` is 1.5, needs at least 0 and at most 1",
        ),
        (
            "[train]\nlearning_rate = nan",
            "`train.learning_rate` is NaN, needs more than 0",
        ),
        (
            "[train]\nlearning_rate = inf",
            "`train.learning_rate` is inf, needs more than 0",
        ),
        (
            "[train]\nmax_steps = -3",
            "`train.max_steps` is -3, needs at least 0",
        ),
        (
            "[data]\nval_size = 1.0",
            "`data.val_size` is 1, needs at least 0 and less than 1",
        ),
        (
            "[[data.train]]\npath = \"p\"\nweight = 0",
            "`data.train.0.weight` is 0, needs more than 0",
        ),
        (
            "[data]\ntrain = []",
            "`data.train` is empty, needs at least one element",
        ),
        (
            "[model]\ndevice = \"\"",
            "`model.device` is empty, needs a text",
        ),
    ] {
        let text = if line.contains("train = []") {
            format!("model.base_model = \"b\"\n{line}")
        } else {
            line.into()
        };
        let lines = problems(&text, &[]);
        assert!(
            lines.iter().any(|line| line.ends_with(expected)),
            "{expected} is not in {lines:#?}"
        );
    }
    assert_eq!(
        problems(&format!("schema_version = 2\n{RIGHT}"), &[]),
        ["r.toml:1:18 `schema_version` is 2, needs 1"]
    );
    assert_eq!(
        problems(&format!("seed = 99999999999999999999\n{RIGHT}"), &[]),
        ["r.toml:1:8 `99999999999999999999` does not fit into 64 bits",]
    );
}

#[test]
fn missing_keys() {
    assert_eq!(
        problems("", &[]),
        [
            "r.toml missing key `data.train`",
            "r.toml missing key `model.base_model`: a folder in Hugging Face format, or a hub name",
        ]
    );
    assert_eq!(
        problems("[data]\n[model]\n", &[]),
        [
            "r.toml:1:2 missing key `data.train`",
            "r.toml:2:2 missing key `model.base_model`: a folder in Hugging Face format, or a hub name",
        ]
    );
    assert_problems(
        "[[data.train]]\nmax_samples = 1\n[[eval.task]]\nname = \"x\"",
        &[
            "r.toml:4:1 missing key `data.train.1.path`",
            "r.toml:6:1 missing key `eval.task.0.output_type`",
        ],
    );
}
