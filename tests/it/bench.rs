use crate::sandbox::{Sandbox, assert_shown};

#[test]
fn bench_measures_the_recipes_own_rows_and_leaves_nothing() {
    let sandbox = Sandbox::with_base();
    let before = sandbox.tree();
    let measured = [
        "bench",
        "adapter.toml",
        "--steps=2",
        "--warmup=1",
        "--generate=3",
        "--prompt=5",
        "--rows=1,2",
        "--json",
    ];
    let speed = sandbox.json(&measured);
    assert_eq!(sandbox.tree(), before);
    assert_eq!(speed["parameters"], 19_936);
    assert_eq!(speed["workload"]["batch"], 4);
    let training = &speed["training"];
    let steps = training["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2);
    // Of nine rows in batches of four the second step reads four, and the third the last one; two tokens of a row are learned.
    assert_eq!(steps[0]["learned_tokens"], 8);
    assert_eq!(steps[1]["learned_tokens"], 2);
    for step in steps {
        assert!(step["places"].as_u64() >= step["tokens"].as_u64());
        assert!(
            step["parts"].is_null(),
            "the steps that are counted do not wait for parts"
        );
    }
    let by_part = training["steps_by_part"].as_array().unwrap();
    assert_eq!(by_part.len(), 2);
    for step in by_part {
        let parts = step["parts"].as_object().unwrap();
        let parts: f64 = parts.values().map(|part_s| part_s.as_f64().unwrap()).sum();
        let elapsed_s = step["elapsed_s"].as_f64().unwrap();
        assert!(parts > 0.5 * elapsed_s && parts <= elapsed_s, "{step}");
    }
    for rate in ["tokens_per_s", "flops", "share_of_matmul"] {
        assert!(training[rate].as_f64().unwrap() > 0.0, "{rate}");
    }
    assert_eq!(training["flops_per_parameter"], 4.0);
    let generation = speed["generation"].as_array().unwrap();
    assert_eq!(generation.len(), 2);
    assert!(generation[1]["decode_tokens_per_s"].as_f64().unwrap() > 0.0);
}

/// A step with a teacher is slower than one without, and what it learns is both.
#[test]
fn bench_measures_a_step_with_its_teacher() {
    let sandbox = Sandbox::with_base();
    let fixed = ["bench", "adapter.toml", "--steps=2", "--warmup=1", "--json"];
    let loss = |more: &[&str]| {
        let speed = sandbox.json(&[&fixed[..], more].concat());
        let taught = speed["expected"]["teacher_bytes"].as_u64().unwrap();
        (
            speed["training"]["steps"][0]["loss"].as_f64().unwrap(),
            taught,
        )
    };
    let (alone, none) = loss(&[]);
    let teacher = "distill.teacher.path=base";
    // The base is its own teacher, and nearly so after a step: half of the loss is its divergence.
    let (taught, beside) = loss(&[teacher]);
    assert!(taught < 0.6 * alone, "{taught} {alone}");
    assert!(none == 0 && beside > 19_936 * 4, "{beside}");
    // Of a cache there has to be one, of these rows.
    let cached = ["distill.teacher.path=base", "distill.cache_dir=cache"];
    let shown = sandbox.run(&[&fixed[..], &cached].concat());
    assert!(shown.contains("error: `cache` holds no cache"), "{shown}");
    sandbox.succeeds(&[&["teach", "adapter.toml", "--quiet"], &cached[..]].concat());
    assert!(loss(&cached).0 < 0.6 * alone);
    // Shapes alone, of both.
    sandbox.write("shape/config.json", sandbox.read("base/config.json"));
    let shapes = [
        "model.base_model=shape",
        "distill.teacher.path=shape",
        "--random-weights",
        "--length=8",
    ];
    assert!(loss(&shapes).0 > 0.0);
}

/// A shape can be measured without its weights and without its tokenizer.
#[test]
fn bench_measures_a_shape_that_is_only_a_config() {
    let sandbox = Sandbox::with_base();
    let config = sandbox.read("base/config.json");
    sandbox.write("shape/config.json", config);
    let measured = |more: &[&str]| {
        let fixed = [
            "bench",
            "adapter.toml",
            "model.base_model=shape",
            "--random-weights",
            "--batch=2",
            "--length=8",
            "--steps=1",
            "--warmup=0",
            "--out=speed.json",
            "--quiet",
        ];
        sandbox.succeeds(&[&fixed[..], more].concat());
        let speed: serde_json::Value = serde_json::from_str(&sandbox.read("speed.json")).unwrap();
        speed
    };
    let speed = measured(&[]);
    let step = &speed["training"]["steps"][0];
    // The first token of a row is not predicted.
    let counts = ["learned_tokens", "tokens", "places"].map(|key| step[key].as_u64().unwrap());
    assert_eq!(counts, [14, 16, 16]);
    let full = measured(&["train.method=full", "export.peft_adapter=false"]);
    assert_eq!(full["training"]["flops_per_parameter"], 6.0);
    assert_eq!(full["trained_parameters"], full["parameters"]);
}

/// A step works in the memory that the one before it left.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn steps_use_their_pages_again() {
    let shape = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/shapes/15m");
    let base = format!("model.base_model={shape}");
    let sandbox = Sandbox::new();
    let measured = [
        "bench",
        "adapter.toml",
        &base,
        "--random-weights",
        "--length=256",
        "--steps=3",
        "--warmup=2",
        "--json",
    ];
    let pages = sandbox.json(&measured)["fresh_pages"].as_u64().unwrap();
    // 40 MB; without `pages::keep` they are 50,000 pages.
    assert!(pages < 10_000, "{pages} pages in 3 steps");
}

/// What the shapes foretell of a step is what it takes up, the program itself apart.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn memory_is_foretold() {
    let shape = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/shapes/15m");
    let base = format!("model.base_model={shape}");
    let sandbox = Sandbox::new();
    let measured = |more: &[&str]| {
        let fixed = [
            "bench",
            "adapter.toml",
            &base,
            "lora.target_modules=all-linear",
            "lora.r=8",
            "--random-weights",
            "--batch=4",
            "--steps=1",
            "--warmup=1",
            "--json",
        ];
        let speed = sandbox.json(&[&fixed[..], more].concat());
        let parts = speed["expected"].as_object().unwrap().values();
        let expected: u64 = parts.map(|bytes| bytes.as_u64().unwrap()).sum();
        (speed["peak_bytes"].as_u64().unwrap(), expected)
    };
    let teacher = format!("distill.teacher.path={shape}");
    let cases: [&[&str]; 7] = [
        &["--length=256"],
        &["--length=512"],
        &["--length=512", "train.gradient_checkpointing=true"],
        &["--length=512", "lora.lora_dropout=0.05"],
        // A teacher beside it, in 16 bits as well, and one whose layers are followed.
        &["--length=512", &teacher],
        &["--length=512", &teacher, "distill.teacher.dtype=bf16"],
        &[
            "--length=512",
            &teacher,
            "distill.hidden.weight=1",
            "train.gradient_checkpointing=true",
        ],
    ];
    // libtorch's libraries are a program of their own.
    let program = if cfg!(feature = "libtorch") {
        180e6
    } else {
        60e6
    };
    // Where the heap falls so, the arena of a thread keeps as much as glibc gives it at once (`pages::keep`).
    let program = program + f64::from(64 << 20);
    for case in cases {
        let beside = || {
            let (peak, expected) = measured(case);
            let allowed = program + 0.05 * expected as f64;
            let is_near = (peak as f64 - expected as f64).abs() < allowed;
            (!is_near).then(|| format!("{case:?}: {peak} bytes where {expected} were foretold"))
        };
        // Threads that wait for a busy processor hold pages of their own for longer: one run of three has to be near.
        let far = beside().and_then(|_| beside()).and_then(|_| beside());
        assert_eq!(far, None);
    }
}

/// Told before anything is made, with the exit code for it.
#[test]
fn a_row_that_no_machine_has_room_for_will_not_fit() {
    let shape = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/shapes/15m");
    let base = format!("model.base_model={shape}");
    let shown = Sandbox::new().run(&[
        "bench",
        "adapter.toml",
        &base,
        "--random-weights",
        "--length=1000000000",
        "train.per_device_train_batch_size=auto",
    ]);
    assert!(shown.starts_with("exit code: 5\n"), "{shown}");
    assert!(
        shown.contains("error: a row of 1000000000 tokens needs"),
        "{shown}"
    );
    assert!(shown.contains("hint: keep the base in"), "{shown}");
}

#[test]
fn bench_refuses_a_row_of_one_token() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["bench", "adapter.toml", "--length=1"]), @r"
    exit code: 2
    ----- stderr -----
    error: invalid value '1' for '--length <LENGTH>': a whole number of at least 2 is needed

    For more information, try '--help'.
    ");
}
