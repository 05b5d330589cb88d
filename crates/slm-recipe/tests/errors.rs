//! What a user reads when a recipe is wrong: every message, with its place.

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
fn cleaning() {
    assert_problems(
        "[data.clean]\ndedup = \"fuzzy\"",
        &["r.toml:5:9 `data.clean.dedup` is `fuzzy`, needs one of `off`, `exact`, `minhash`"],
    );
    assert_problems(
        "[data.clean]\ndedup_threshold = 0.4\nshingle_size = 0",
        &[
            "r.toml:5:19 `data.clean.dedup_threshold` is 0.4, needs at least 0.5 and at most 1",
            "r.toml:6:16 `data.clean.shingle_size` is 0, needs at least 1",
        ],
    );
    assert_problems(
        "[data.clean]\nmin_chars = 9\nmax_chars = 8",
        &[
            "r.toml:5:1 `data.clean.min_chars` is 9 and `data.clean.max_chars` is 8: no row can have both",
        ],
    );
    assert_problems(
        "[data.clean]\nlanguages = [\"de\", \"zho\", \"english\"]\nmin_language_confidence = 90",
        &[
            "r.toml:5:1 `data.clean.languages` has `english`, needs codes of languages that can be told, as in `en` or `deu`",
            "r.toml:6:27 `data.clean.min_language_confidence` is 90, needs at least 0 and at most 1",
        ],
    );
    assert_problems(
        "[data.clean.balance]\nmax_ratio = 0.5",
        &[
            "r.toml:5:1 `data.clean.balance.max_ratio` is 0.5, needs 0 or at least 1: the rarest label keeps its rows",
        ],
    );
    assert_problems(
        "[data.clean.outliers]\naction = \"error\"\nmax_length_z = -1\nmin_words_with_letters = 2",
        &[
            "r.toml:5:10 `data.clean.outliers.action` is `error`, needs one of `off`, `report`, `drop`",
            "r.toml:6:16 `data.clean.outliers.max_length_z` is -1, needs at least 0",
            "r.toml:7:26 `data.clean.outliers.min_words_with_letters` is 2, needs at least 0 and at most 1",
        ],
    );
}

#[test]
fn personal_data() {
    assert_problems(
        "[data.clean]\npii = \"hide\"",
        &[
            "r.toml:5:7 `data.clean.pii` is `hide`, needs one of `off`, `report`, `redact`, `pseudonymise`, `error`",
        ],
    );
    assert_problems(
        "[data.clean]\npii = \"pseudonymise\"",
        &[
            "r.toml:5:1 missing key `data.clean.personal.key_env`: a keyed hash makes pseudonyms; name the environment variable that holds the key, or its file with `key_file`",
        ],
    );
    assert_problems(
        "[data.clean.personal]\nkey_env = \"A\"\nkey_file = \"b\"\nnames = [\"c\"]",
        &[
            "r.toml:5:1 `data.clean.personal.key_env` and `data.clean.personal.key_file` both name a key; needs one of them",
            "r.toml:7:1 `data.clean.personal.names` has no meaning: `data.clean.pii` is `off` and looks for nothing",
        ],
    );
}

#[test]
fn leaks_and_units_of_the_split() {
    assert_problems(
        "[data]\non_leak = \"stop\"\nmax_leak_rate = 2",
        &[
            "r.toml:5:11 `data.on_leak` is `stop`, needs one of `off`, `error`, `drop`, `report`",
            "r.toml:6:17 `data.max_leak_rate` is 2, needs at least 0 and at most 1",
        ],
    );
    assert_problems(
        "[data]\nval_every = 5\nstratify = true\nkeep_near_together = true",
        &[
            "r.toml:6:1 `data.stratify` is about the split by `data.val_size`, and there is none",
            "r.toml:7:1 `data.keep_near_together` is about the split by `data.val_size`, and there is none",
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
fn contradictions() {
    for (lines, expected) in [
        (
            "[data]\nval_every = 5\nval_size = 0.2",
            "r.toml:5:1 `data.val_every` and `data.val_size` both say what is held out; needs one of them",
        ),
        (
            "[data]\nval_every = 1",
            "r.toml:5:1 `data.val_every` is 1 and holds out every row; needs 0 or at least 2",
        ),
        (
            "[data]\nval_every = 5\ngroup_by = \"x\"",
            "r.toml:6:1 `data.group_by` keeps rows together in a split by `data.val_size`, and there is none",
        ),
        (
            "[data]\nval_size = 0.2\n[[data.validation]]\npath = \"v\"",
            "r.toml:5:1 `data.val_size` and `data.validation` both say what is held out; needs one of them",
        ),
        (
            "[data]\nlabels = [\"a\", \"b\", \" a\"]",
            "r.toml:5:1 `data.labels` has `a` twice",
        ),
        (
            "[data]\npacking = true\nshuffle = false",
            "r.toml:6:1 `data.packing` fills rows longest first, and `data.shuffle = false` keeps the order of the files; needs one of them",
        ),
        (
            "weight = 1.5\n[data]\npacking = true",
            "r.toml:4:1 `data.train.0.weight` is 1.5, and `data.packing` needs the same rows in every epoch: a whole number, or `max_samples` instead",
        ),
        (
            "[[data.validation]]\npath = \"v\"\nweight = 2",
            "r.toml:6:1 `data.validation.0.weight` has no meaning: held-out rows are read once in each evaluation",
        ),
        (
            "[data]\nformat = \"preference\"",
            "r.toml:5:1 `data.format` reads judged answers; needs `train.objective = \"dpo\"`, `\"orpo\"` or `\"kto\"`",
        ),
        (
            "[data]\npacking = true\n[train]\nobjective = \"dpo\"",
            "r.toml:5:1 `data.packing` has no place in `dpo`, which compares whole answers",
        ),
        (
            "[train]\nobjective = \"orpo\"\nlabel_smoothing_factor = 0.1",
            "r.toml:6:1 `train.label_smoothing_factor` has no place in `orpo`, which compares whole answers",
        ),
        (
            "[train]\nobjective = \"dpo\"\n[lora]\nlora_dropout = 0.1",
            "r.toml:7:1 `lora.lora_dropout` is noise, and `dpo` compares log-probabilities with those of a model without any",
        ),
        (
            "[train]\nper_device_train_batch_size = \"auto\"\ngradient_accumulation_steps = 2",
            "r.toml:6:1 `train.gradient_accumulation_steps` follows from `train.per_device_train_batch_size = \"auto\"`, whose \
             step has 32 rows; for another step write both as numbers",
        ),
        (
            "[train]\nobjective = \"kto\"\nper_device_train_batch_size = 1",
            "r.toml:6:1 `train.per_device_train_batch_size` is 1; `kto` puts the answers of a batch to each other's prompts and needs at least 2",
        ),
        (
            "[train]\nobjective = \"dpo\"\n[preference]\nlabel_smoothing = 0.1",
            "r.toml:7:1 `preference.label_smoothing` is read with `preference.loss_type = \"robust\"`",
        ),
        (
            "[distill]\nalpha = 0.5",
            "r.toml:4:2 missing key `distill.teacher.path`: the teacher: a run directory, a folder in Hugging Face format, or a hub name",
        ),
        (
            "[train]\nobjective = \"dpo\"\n[distill]\nteacher.path = \"t\"",
            "r.toml:5:1 `distill` learns rows from a teacher, and `dpo` judged answers; needs one of them",
        ),
        (
            "[train]\nlabel_smoothing_factor = 0.1\n[distill]\nalpha = 1\nteacher.path = \"t\"",
            "r.toml:5:1 `train.label_smoothing_factor` is about the rows' own tokens, and with `distill.alpha = 1` they are not learned",
        ),
        (
            "[distill]\nbeta = 0.1\nteacher.path = \"t\"",
            "r.toml:5:1 `distill.beta` is read with `distill.divergence = \"jsd\"`",
        ),
        (
            "prompt = \"{q}\"",
            "r.toml:4:1 missing key `data.train.0.completion`: a template of the prompt needs one of the completion",
        ),
        (
            "completion = \"{a}\"",
            "r.toml:4:1 missing key `data.train.0.prompt`: a template of the completion needs one of the prompt",
        ),
        (
            "prompt = \"{q}\"\ncompletion = \"{a}\"\n[data]\nformat = \"messages\"",
            "r.toml:4:1 `data.train.0.prompt` makes prompt and completion; it needs `data.format = \"prompt_completion\"`",
        ),
        (
            "[train]\nnum_train_epochs = 0",
            "r.toml:5:1 `train.num_train_epochs` and `train.max_steps` are both 0; needs one of them",
        ),
        (
            "[train]\nmax_steps = 5\nwarmup_steps = 6",
            "r.toml:6:1 `train.warmup_steps` is 6, more than `train.max_steps`, which is 5",
        ),
        (
            "[train]\nmethod = \"full\"\n[export]\npeft_adapter = true",
            "r.toml:7:1 `export.peft_adapter` needs an adapter, and `train.method = \"full\"` makes none",
        ),
        (
            "[train]\nmethod = \"full\"\n[export]\ngguf_adapter = true",
            "r.toml:7:1 `export.gguf_adapter` needs an adapter, and `train.method = \"full\"` makes none",
        ),
        (
            "[lora]\nuse_dora = true\n[export]\ngguf_adapter = true",
            "r.toml:7:1 `export.gguf_adapter` has no place for what `lora.use_dora` trains",
        ),
        (
            "[lora]\nmodules_to_save = [\"lm_head\"]\n[export]\ngguf_adapter = true",
            "r.toml:7:1 `export.gguf_adapter` has no place for what `lora.modules_to_save` trains",
        ),
        (
            "[export]\ngguf = [\"F16\", \"F16\"]",
            "r.toml:5:1 `export.gguf` has `F16` twice",
        ),
        (
            "[data]\nval_size = 0\n[train]\nload_best_model_at_end = true",
            "r.toml:7:1 `train.load_best_model_at_end` needs held-out rows: `data.val_size`, `data.val_every` or `[[data.validation]]`",
        ),
        (
            "[data]\nval_size = 0\n[train]\nearly_stopping_patience = 2",
            "r.toml:7:1 `train.early_stopping_patience` needs held-out rows: `data.val_size`, `data.val_every` or `[[data.validation]]`",
        ),
        (
            "[data]\nval_size = 0\n[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"",
            "r.toml:6:1 task `x` needs a `path`, because no rows are held out",
        ),
        (
            "[[eval.task]]\nname = \"x/y\"\noutput_type = \"generate_until\"",
            "r.toml:5:1 `eval.task.0.name` is `x/y`, needs a name without `/` that can be a folder's",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"loglikelihood\"\ntemperature = 0.5",
            "r.toml:7:1 `eval.task.0.temperature` is only read with `output_type = \"generate_until\"`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"multiple_choice\"\nchoices = [\"a\"]",
            "r.toml:7:1 task `x` has one choice; needs at least two",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"multiple_choice\"\nconstraint = { labels = true }",
            "r.toml:7:1 `eval.task.0.constraint` is only read with `output_type = \"generate_until\"`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\nconstraint = { labels = true, regex = \"a\" }",
            "r.toml:7:1 `eval.task.0.constraint` has 2 of `labels`, `regex` and `json_schema`, needs one",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\nconstraint = {}",
            "r.toml:7:1 `eval.task.0.constraint` has 0 of `labels`, `regex` and `json_schema`, needs one",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\nstop = [\"\\n\"]\nconstraint = { regex = \"a\" }",
            "r.toml:7:1 `eval.task.0.stop` would cut answers that `eval.task.0.constraint` ends by itself",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"loglikelihood\"\nchoices = [\"a\", \"b\"]",
            "r.toml:7:1 `eval.task.0.choices` is not read with `output_type = \"loglikelihood\"`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"loglikelihood\"\nmetrics = [\"loss\", \"bleu\"]",
            "r.toml:7:1 task `x` has no metric `bleu`; it has `perplexity`, `byte_perplexity`, `loss`, `exact_match`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"loglikelihood\"\nmetrics = [\"loss\", \"loss\"]",
            "r.toml:7:1 task `x` names `loss` twice",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\nmetrics = [\"bleu\", \"mcc\"]",
            "r.toml:7:1 `mcc` of generated answers needs the labels of task `x` in its `choices`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\n[eval.task.calibration]",
            "r.toml:7:12 `eval.task.0.calibration` is only read with `output_type = \"multiple_choice\"`",
        ),
        (
            "[[eval.task]]\nname = \"x\"\noutput_type = \"multiple_choice\"\n[eval.task.calibration]\ncoverage = 1.0",
            "r.toml:8:12 `eval.task.0.calibration.coverage` is 1, needs more than 0 and less than 1",
        ),
        (
            "[tokenizer]",
            "r.toml:4:2 `tokenizer` trains a new tokenizer; it needs `model.init = \"scratch\"`",
        ),
    ] {
        assert_problems(lines, &[expected]);
    }
    let unknown =
        "[[eval.task]]\nname = \"x\"\noutput_type = \"generate_until\"\nmetrics = [\"rouge\"]";
    let found = problems(&format!("{RIGHT}{unknown}"), &[]).concat();
    assert!(
        found.contains("`eval.task.0.metrics.0` is `rouge`, needs one of `accuracy`, "),
        "{found}"
    );
    assert!(found.ends_with("did you mean `rouge2`?"), "{found}");
    let twice = "[[eval.task]]\nname = \"x\"\noutput_type = \"loglikelihood\"\n".repeat(2);
    assert_problems(&twice, &["r.toml:8:1 two tasks have the name `x`"]);
    assert_eq!(
        problems(&format!("name = \"a/b\"\n{RIGHT}"), &[]),
        ["r.toml:1:1 `name` is `a/b`, needs a name without `/` that can be a folder's"]
    );
}

#[test]
fn contradictions_of_a_new_model() {
    let scratch = |config: &str, more: &str| {
        let text = format!(
            "train.method = \"full\"\n[[data.train]]\npath = \"rows\"\n[model]\ninit = \"scratch\"\n[model.config]\n\
             intermediate_size = 32\nnum_hidden_layers = 1\n{config}\n{more}"
        );
        problems(&text, &[])
    };
    let sizes = |hidden, heads, kv| {
        format!(
            "hidden_size = {hidden}\nnum_attention_heads = {heads}\nnum_key_value_heads = {kv}\n"
        )
    };
    let tokenizer = "[tokenizer]\nvocab_size = 300";
    assert!(scratch(&sizes(16, 4, 2), tokenizer).is_empty());
    assert_eq!(
        scratch(&sizes(18, 4, 2), tokenizer),
        [
            "r.toml:9:1 `model.config.hidden_size` is 18, needs a multiple of 8: every one of 4 heads has an even size",
        ]
    );
    assert_eq!(
        scratch(&sizes(12, 4, 2), tokenizer).len(),
        1,
        "heads of 3 cannot be rotated"
    );
    assert_eq!(
        scratch(&sizes(16, 4, 3), tokenizer),
        [
            "r.toml:11:1 `model.config.num_key_value_heads` is 3, needs a divisor of `model.config.num_attention_heads`, which is 4",
        ]
    );
    assert_eq!(
        scratch(
            &(sizes(16, 4, 4) + "max_position_embeddings = 512"),
            tokenizer
        ),
        [
            "r.toml:12:1 `model.max_length` is 1024, more than `model.config.max_position_embeddings`, which is 512",
        ]
    );
    assert_eq!(
        scratch(&sizes(16, 4, 4), ""),
        [
            "r.toml:5:1 `model.init = \"scratch\"` needs one tokenizer: a new one by `[tokenizer]`, or that of `model.base_model`",
        ]
    );
    assert_problems("[model]\ninit = \"scratch\"", &["r.toml:4:2 duplicate key"]);
    assert_eq!(
        problems(
            "[[data.train]]\npath = \"p\"\n[model]\nbase_model = \"b\"\ninit = \"scratch\"",
            &[]
        ),
        [
            "r.toml:5:1 missing key `model.config`: `model.init = \"scratch\"` needs the shape of the model",
            "r.toml:5:1 random weights are no base for an adapter: `model.init = \"scratch\"` needs `train.method = \"full\"`",
        ]
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
fn tf32_is_of_f32() {
    let of = |model: &str| {
        let text =
            format!("[[data.train]]\npath = \"rows\"\n[model]\nbase_model = \"base\"\n{model}");
        problems(&text, &[])
    };
    assert!(of("tf32 = true").is_empty());
    assert_eq!(
        of("tf32 = true\ndtype = \"bf16\""),
        ["r.toml:5:1 `model.tf32` is about products of f32: it needs `model.dtype = \"f32\"`"]
    );
}

#[test]
fn a_quantized_base_is_frozen_and_taken_whole() {
    let of = |model: &str, more: &str| {
        let text = format!(
            "[[data.train]]\npath = \"rows\"\n[model]\nbase_model = \"base\"\n{model}\n{more}"
        );
        problems(&text, &[])
    };
    for right in [
        "quantization = \"none\"",
        "quantization = \"int8\"",
        "quantization = \"int8\"\nint8_activations = false",
        "quantization = \"nf4\"",
        "quantization = \"nf4\"\ndouble_quant = false",
    ] {
        assert!(of(right, "").is_empty(), "{right}");
    }
    let nf4 = "quantization = \"nf4\"";
    assert_eq!(
        of("quantization = \"fp4\"", ""),
        ["r.toml:5:16 `model.quantization` is `fp4`, needs one of `none`, `int8`, `nf4`"]
    );
    assert_eq!(
        of(nf4, "[train]\nmethod = \"full\""),
        ["r.toml:5:1 `model.quantization` freezes the base: it needs `train.method = \"lora\"`"]
    );
    assert_eq!(
        of(nf4, "[lora]\ninit_lora_weights = \"pissa\""),
        [
            "r.toml:5:1 `lora.init_lora_weights = \"pissa\"` starts from parts of the base's weights: it needs `model.quantization = \"none\"`"
        ]
    );
    assert_eq!(
        of("quantization = \"int8\"\ndouble_quant = false", ""),
        ["r.toml:6:1 `model.double_quant` is about the scales of `model.quantization = \"nf4\"`"]
    );
    assert_eq!(
        of("quantization = \"nf4\"\nint8_activations = false", ""),
        [
            "r.toml:6:1 `model.int8_activations` is about products with `model.quantization = \"int8\"`"
        ]
    );
    assert_eq!(
        of("bnb_4bit_use_double_quant = true", ""),
        [
            "r.toml:5:1 unknown key `model.bnb_4bit_use_double_quant`; did you mean `model.double_quant`?"
        ]
    );
}

#[test]
fn rules_for_tensors_are_checked_one_by_one() {
    assert_problems(
        "[export]\ngguf = [\"Q4_K_M\"]\ntensor_types = [\n  \"attn_v=Q8_0\",\n  \"attn_v=Q9\",\n  \"attn_(=Q8_0\",\n]\n",
        &[
            "r.toml:8:3 `export.tensor_types.1` is `attn_v=Q9`: there is no type `Q9`",
            "r.toml:9:3 `export.tensor_types.2` is `attn_(=Q8_0`: unclosed group",
        ],
    );
}

#[test]
fn what_no_quantized_file_reads_is_told() {
    assert_problems(
        "[export]\ngguf = [\"F16\"]\ntensor_types = [\"attn_v=Q8_0\"]\nimatrix = \"rows\"\n",
        &[
            "r.toml:6:1 `export.tensor_types` is for quantized files, and `export.gguf` has none",
            "r.toml:7:1 `export.imatrix` is for quantized files, and `export.gguf` has none",
        ],
    );
    assert_problems(
        "[export]\ngguf = [\"Q8_0\"]\ntensor_types = [\"ffn_(up|gate)=Q6_K\"]\nimatrix = \"rows\"\n",
        &[],
    );
}
