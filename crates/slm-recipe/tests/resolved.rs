//! What a recipe becomes: extended, overridden, filled in, and written back.

use std::path::Path;

use proptest::prelude::*;
use slm_recipe::{
    BatchSize, CompressedScheme, DataSection, EvalTask, ExportSection, GgufType, Init, LabelNames,
    LoraSection, Method, ModelSection, OnBadRow, OutputType, ParitySection, Recipe, ScratchConfig,
    Source, TargetModules, TokenizerSection, TrainSection,
};

const RIGHT: &str = "model.base_model = \"base\"\n[[data.train]]\npath = \"rows.jsonl\"\n";

fn load_in(folder: &Path, name: &str, text: &str, overrides: &[&str]) -> Result<Recipe, String> {
    let path = folder.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, text).unwrap();
    let overrides: Vec<_> = overrides.iter().map(ToString::to_string).collect();
    let folder = folder.display().to_string() + "/";
    Recipe::load(&path, &overrides).map_err(|errors| errors.to_string().replace(&folder, ""))
}

fn load(text: &str, overrides: &[&str]) -> Result<Recipe, String> {
    load_in(
        tempfile::tempdir().unwrap().path(),
        "r.toml",
        text,
        overrides,
    )
}

#[test]
fn defaults_are_filled_in() {
    let recipe = load(RIGHT, &[]).unwrap();
    assert_eq!(
        (
            recipe.name.as_str(),
            recipe.output_dir.as_str(),
            recipe.seed
        ),
        ("r", "runs/r", 42)
    );
    assert_eq!(
        load(&format!("name = \"x\"\n{RIGHT}"), &[])
            .unwrap()
            .output_dir,
        "runs/x"
    );
    assert_eq!(recipe.lora, LoraSection::default());
}

#[test]
fn what_a_source_makes_of_its_columns_is_kept() {
    let rows = format!(
        "{RIGHT}label_names = {{ label = [\"ham\", \"spam\"], topic = \"topics.txt\" }}\nroles = {{ customer = \"user\" }}\n\
         [data]\non_bad_row = \"skip\"\n"
    );
    let recipe = load(&rows, &[]).unwrap();
    assert_eq!(recipe.data.on_bad_row, OnBadRow::Skip);
    let source = &recipe.data.train[0];
    let list = LabelNames::List(vec!["ham".into(), "spam".into()]);
    assert_eq!(source.label_names["label"], list);
    assert_eq!(
        source.label_names["topic"],
        LabelNames::File("topics.txt".into())
    );
    assert_eq!(source.roles["customer"], "user");
    assert_eq!(load(&recipe.to_toml(), &[]).unwrap().data, recipe.data);
    let wrong = load(&format!("{RIGHT}label_names = {{ label = 3 }}\n"), &[]);
    assert!(wrong.unwrap_err().contains("label_names.label"));
}

#[test]
fn defaults_depend_on_what_was_written() {
    let by_row = load(&format!("{RIGHT}[data]\nval_every = 5"), &[]).unwrap();
    assert_eq!(
        (by_row.data.val_size, by_row.train.load_best_model_at_end),
        (0.0, true)
    );
    let by_file = load(&format!("{RIGHT}[[data.validation]]\npath = \"v\""), &[]).unwrap();
    assert_eq!(by_file.data.val_size, 0.0);
    let none = load(&format!("{RIGHT}[data]\nval_size = 0"), &[]).unwrap();
    assert!(!none.data.holds_out() && !none.train.load_best_model_at_end);
    let full = load(&format!("{RIGHT}[train]\nmethod = \"full\""), &[]).unwrap();
    assert!(!full.export.peft_adapter && full.export.merged);
}

#[test]
fn overrides_win_and_bare_words_are_texts() {
    let overrides = [
        "train.learning_rate=1e-4",
        "train.num_train_epochs=2",
        "train.per_device_train_batch_size=auto",
        "model.tf32=true",
        "model.base_model=models/Some-Model",
        "model.revision=0123456",
        "name=7",
        "data.train.0.max_samples = 10",
        "data.labels=[\"a\", 'b']",
        "lora={r=2, target_modules=[\"q_proj\"]}",
        "data.packing=true",
        "data.train.0.weight=2",
        "data.group_by=\"the column\"",
    ];
    let recipe = load(
        &format!("{RIGHT}[lora]\nr = 64\nlora_alpha = 3"),
        &overrides,
    )
    .unwrap();
    assert_eq!(
        (recipe.train.learning_rate, recipe.train.num_train_epochs),
        (1e-4, 2.0)
    );
    assert_eq!(
        (recipe.name.as_str(), recipe.model.revision.as_deref()),
        ("7", Some("0123456"))
    );
    assert_eq!(recipe.model.base_model, "models/Some-Model");
    assert!(recipe.model.tf32);
    assert_eq!(recipe.train.per_device_train_batch_size, BatchSize::Auto);
    assert_eq!(
        (
            recipe.data.train[0].path.as_str(),
            recipe.data.train[0].max_samples
        ),
        ("rows.jsonl", 10)
    );
    assert_eq!(recipe.data.labels, ["a", "b"]);
    assert_eq!((recipe.lora.r, recipe.lora.lora_alpha), (2, 3.0));
    assert_eq!(
        recipe.lora.target_modules,
        TargetModules::Names(vec!["q_proj".into()])
    );
    assert!(recipe.data.packing && recipe.data.shuffle);
    assert_eq!(recipe.data.train[0].weight, 2.0);
    assert_eq!(recipe.data.group_by.as_deref(), Some("the column"));
}

#[test]
fn a_recipe_changes_the_one_it_extends() {
    let dir = tempfile::tempdir().unwrap();
    let base = format!(
        "name = \"base\"\noutput_dir = \"elsewhere\"\nseed = 1\n{RIGHT}[lora]\nr = 4\nlora_alpha = 5\n"
    );
    load_in(dir.path(), "shared/base.toml", &base, &[]).unwrap();
    load_in(
        dir.path(),
        "shared/middle.toml",
        "extends = \"base.toml\"\nlora.r = 6\n",
        &[],
    )
    .unwrap();
    let text = "extends = \"../shared/middle.toml\"\n[lora]\nlora_alpha = 7\n[[data.train]]\npath = \"mine\"\n";
    let recipe = load_in(dir.path(), "mine/child.toml", text, &["seed=3"]).unwrap();
    assert_eq!(
        (recipe.seed, recipe.lora.r, recipe.lora.lora_alpha),
        (3, 6, 7.0)
    );
    assert_eq!(
        recipe.data.train,
        [Source {
            path: "mine".into(),
            ..Source::default()
        }],
        "a list is replaced"
    );
    assert_eq!(
        (recipe.name.as_str(), recipe.output_dir.as_str()),
        ("child", "runs/child"),
        "two recipes, two runs"
    );
}

#[test]
fn what_is_wrong_in_an_extended_recipe_is_told_there() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(
        dir.path().join("base.toml"),
        format!("{RIGHT}[lora]\nrank = 4\n"),
    )
    .unwrap();
    let error = load_in(
        dir.path(),
        "child.toml",
        "extends = \"base.toml\"\nlora.r = \"x\"\n",
        &[],
    )
    .unwrap_err();
    assert_eq!(
        error,
        "recipe `child.toml` has 2 problems\n\
         \x20 base.toml:5:1   unknown key `lora.rank`; did you mean `lora.r`?\n\
         \x20 child.toml:2:10 `lora.r` is a string, needs an integer"
    );
    let error = load_in(dir.path(), "child.toml", "extends = \"none.toml\"", &[]).unwrap_err();
    assert_eq!(
        error,
        "recipe `child.toml` has 1 problem\n  child.toml:1:11 cannot read `none.toml`: it does not exist"
    );
    let error = load_in(dir.path(), "child.toml", "extends = \"./child.toml\"", &[]).unwrap_err();
    assert_eq!(
        error,
        "recipe `child.toml` has 1 problem\n  child.toml:1:11 `extends` leads back to `./child.toml`"
    );
}

fn assert_round_trip(recipe: &Recipe) {
    let text = recipe.to_toml();
    assert_eq!(load(&text, &[]).as_ref(), Ok(recipe), "written as:\n{text}");
}

#[test]
fn every_kind_of_recipe_loads_again_as_it_was() {
    assert_round_trip(&load(RIGHT, &[]).unwrap());
    assert_round_trip(
        &load(
            &format!("{RIGHT}[data]\nval_every = 3\n[train]\nmethod = \"full\""),
            &[],
        )
        .unwrap(),
    );
    assert_round_trip(&load(&format!("{RIGHT}[data]\nval_size = 0"), &[]).unwrap());
    let scratch = Recipe {
        name: "base".into(),
        output_dir: "out".into(),
        model: ModelSection {
            init: Init::Scratch,
            config: Some(ScratchConfig::default()),
            ..ModelSection::default()
        },
        tokenizer: Some(TokenizerSection { vocab_size: 300 }),
        data: DataSection {
            train: vec![Source {
                path: "p".into(),
                ..Source::default()
            }],
            ..DataSection::default()
        },
        train: TrainSection {
            method: Method::Full,
            ..TrainSection::default()
        },
        export: ExportSection {
            peft_adapter: false,
            gguf_adapter: false,
            gguf: vec![GgufType::BF16, GgufType::Q8_0],
            tensor_types: vec!["attn_v=Q8_0".into()],
            imatrix: Some("rows".into()),
            compressed_tensors: vec![CompressedScheme::W4A16, CompressedScheme::FP8],
            merged: false,
            max_shard_gb: 2.5,
            parity: ParitySection {
                max_mean_kl: Some(0.05),
                max_p99_kl: Some(0.5),
                max_perplexity_ratio: Some(1.1),
                max_task_drop: Some(0.02),
                task_items: 50,
                min_top1_agreement: Some(0.9),
            },
        },
        ..Recipe::default()
    };
    assert_round_trip(&scratch);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_value_loads_again_as_it_was(
        seed in 0..=i64::MAX as u64,
        learning_rate in 1e-300..1e300_f64,
        alpha in 1e-9..1e9_f64,
        epochs in 1e-3..1e3_f64,
        texts in proptest::collection::vec(any::<String>(), 5),
        columns in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        names in proptest::collection::vec(any::<String>(), 1..4),
        flags in any::<[bool; 4]>(),
        count in 1..usize::MAX >> 1,
    ) {
        let mut recipe = Recipe { name: "n".into(), output_dir: "o".into(), seed, ..Recipe::default() };
        recipe.model.base_model = "base".into();
        recipe.model.revision = Some(texts[0].clone());
        recipe.data.group_by = Some(texts[1].clone());
        recipe.data.packing = flags[0];
        recipe.data.train = vec![Source {
            path: "rows".into(),
            max_samples: count,
            weight: if flags[0] { 3.0 } else { learning_rate },
            label_names: [("label".to_owned(), LabelNames::List(names.clone()))].into(),
            roles: columns.clone(),
            columns,
            prompt: Some(texts[2].clone()),
            completion: Some(texts[3].clone()),
            system: Some(texts[4].clone()),
            license: Some(texts[0].clone()),
        }];
        recipe.data.card.description = Some(texts[1].clone());
        recipe.data.card.languages.clone_from(&texts);
        recipe.lora.lora_alpha = alpha;
        recipe.lora.target_modules = TargetModules::Names(names);
        recipe.train.learning_rate = learning_rate;
        recipe.train.num_train_epochs = epochs;
        recipe.train.gradient_checkpointing = flags[1];
        recipe.eval.compare_base = flags[2];
        recipe.eval.task = vec![EvalTask {
            name: "t".into(),
            output_type: OutputType::GenerateUntil,
            stop: texts,
            temperature: alpha,
            batch_size: count,
            ..EvalTask::default()
        }];
        recipe.export.merged = flags[3];
        assert_round_trip(&recipe);
    }
}
