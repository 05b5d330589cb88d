//! Keys that do not go together.

use super::{RIGHT, assert_problems, problems};

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
