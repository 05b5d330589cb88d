//! A student from its teacher: asked in every step, or once for a cache; and what a teacher cannot teach.

use std::fmt::Write;

use serde_json::Value;

use crate::sandbox::{Sandbox, assert_shown};

/// The student and who teaches it.
const STUDENT: [&str; 5] = [
    "adapter.toml",
    "name=student",
    "output_dir=runs/student",
    "distill.teacher.path=runs/teacher",
    "train.max_steps=6",
];
const CACHE: &str = "distill.cache_dir=cache";

/// A sandbox with a teacher: the base with an adapter that was trained for longer.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&[
        "train",
        "adapter.toml",
        "name=teacher",
        "output_dir=runs/teacher",
        "train.max_steps=30",
        "export.gguf=[]",
        "--quiet",
    ]);
    sandbox
}

fn with<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb], &STUDENT[..], more].concat()
}

fn steps(sandbox: &Sandbox) -> Vec<Value> {
    let text = sandbox.read("runs/student/metrics.jsonl");
    let events = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["event"] == "step").collect()
}

#[test]
fn a_student_follows_a_run() {
    let sandbox = sandbox();
    sandbox.succeeds(&with("distill", &["--quiet", "distill.alpha=0.75"]));
    let steps = steps(&sandbox);
    assert_eq!(steps.len(), 6);
    for step in &steps {
        let figure = |name: &str| step[name].as_f64().unwrap();
        let [divergence, own] = ["distill/divergence", "distill/cross_entropy"].map(figure);
        let loss = 0.75 * 4.0 * divergence + 0.25 * own;
        assert!((figure("loss") - loss).abs() < 1e-9, "{step}");
        assert!(divergence > 0.0 && (0.0..=1.0).contains(&figure("distill/agreement")));
    }
    assert!(
        sandbox
            .path("runs/student/export/adapter/adapter_model.safetensors")
            .is_file()
    );
    // Who has learned needs no teacher any more.
    fs_err::rename(sandbox.path("runs/teacher"), sandbox.path("runs/away")).unwrap();
    sandbox.succeeds(&["eval", "runs/student"]);
    fs_err::rename(sandbox.path("runs/away"), sandbox.path("runs/teacher")).unwrap();
    // The base alone, with the run's adapter, is the same teacher.
    let first = steps[0]["distill/divergence"].as_f64().unwrap();
    let apart = [
        "distill.teacher.path=base",
        "distill.teacher.adapter=runs/teacher/export/adapter",
    ];
    sandbox.succeeds(&with(
        "distill",
        &[&["--quiet", "--overwrite"], &apart[..]].concat(),
    ));
    let again = self::steps(&sandbox)[0]["distill/divergence"]
        .as_f64()
        .unwrap();
    // Of probabilities in f32, sums have about seven digits after the point; the base as teacher would be at zero.
    assert!((first - again).abs() < 1e-6, "{first}, {again}");
    assert!(first > 1e-4, "{first}");
}

#[test]
fn every_divergence_and_share_is_learned() {
    let sandbox = sandbox();
    for settings in [
        ["distill.divergence=reverse_kl", "distill.temperature=1"],
        ["distill.divergence=jsd", "distill.beta=0.1"],
        ["distill.divergence=tvd", "distill.alpha=1"],
    ] {
        sandbox.succeeds(&with(
            "distill",
            &[&["--quiet", "--overwrite"], &settings[..]].concat(),
        ));
        let steps = steps(&sandbox);
        let divergence = |step: &Value| step["distill/divergence"].as_f64().unwrap();
        assert!(divergence(&steps[5]) > 0.0, "{settings:?}");
    }
}

/// How far layers are from the teacher's joins the loss, and is told.
#[test]
fn layers_of_a_student_follow_its_teachers() {
    let sandbox = sandbox();
    let hidden = ["distill.hidden.weight=0.5", "distill.hidden.loss=cosine"];
    sandbox.succeeds(&with("distill", &[&["--quiet"], &hidden[..]].concat()));
    let steps = steps(&sandbox);
    for step in &steps {
        let figure = |name: &str| step[name].as_f64().unwrap();
        let [divergence, own, apart] =
            ["divergence", "cross_entropy", "hidden"].map(|it| figure(&format!("distill/{it}")));
        let loss = 0.5 * 4.0 * divergence + 0.5 * own + 0.5 * apart;
        assert!((figure("loss") - loss).abs() < 1e-9, "{step}");
        assert!(apart > 0.0, "{step}");
    }
    let shown = sandbox.run(&with("check", &[CACHE, hidden[0]]));
    assert!(
        shown.contains("override `distill.hidden.weight=0.5`")
            && shown.contains("compares layers, of which a cache has nothing"),
        "{shown}"
    );
    let beyond = "distill.hidden.layers=[[0, 7]]";
    let shown = sandbox.run(&with("check", &[hidden[0], beyond]));
    assert_shown!(shown, @r#"
    exit code: 1
    ----- stderr -----
    error: `distill.hidden.layers` has the student's layer 0 follow the teacher's 7, and they have 1 and 1 layers, counted from 0

    hint: name layers from 0 to 0 and from 0 to 0, or leave them to `distill.hidden.layers = "uniform"`
    "#);
}

/// A teacher of another width, of which the shape is enough.
#[test]
fn layers_of_another_width_have_a_projection() {
    let sandbox = Sandbox::with_base();
    let mut config: Value = serde_json::from_str(&sandbox.read("base/config.json")).unwrap();
    sandbox.write("shape/config.json", config.to_string());
    let width = config["hidden_size"].as_u64().unwrap();
    config["hidden_size"] = (2 * width).into();
    sandbox.write("wide/config.json", config.to_string());
    let measured = |more: &[&str]| {
        let fixed = [
            "bench",
            "adapter.toml",
            "model.base_model=shape",
            "distill.teacher.path=wide",
            "--random-weights",
            "--length=8",
            "--steps=2",
            "--warmup=0",
            "--json",
        ];
        let speed = sandbox.json(&[&fixed[..], more].concat());
        let bytes = speed["expected"]["teacher_bytes"].as_u64().unwrap();
        (
            speed["training"]["steps"][0]["loss"].as_f64().unwrap(),
            bytes,
        )
    };
    let (without, with) = (measured(&[]), measured(&["distill.hidden.weight=1"]));
    assert!(
        with.0 > without.0 && with.1 > without.1,
        "{without:?} {with:?}"
    );
}

/// Two of three micro-batches are answered by the student, the rest by its teacher.
#[test]
fn a_student_learns_from_answers_that_are_generated_on_the_way() {
    let sandbox = sandbox();
    let generated = [
        "--quiet",
        "distill.lmbda=0.67",
        "distill.seq_kd=true",
        "distill.divergence=reverse_kl",
        "distill.generation.max_new_tokens=8",
        "train.max_steps=12",
    ];
    sandbox.succeeds(&with("distill", &generated));
    let shares = steps(&sandbox).into_iter().map(|step| {
        assert!(step["loss"].as_f64().unwrap().is_finite(), "{step}");
        step["distill/own_share"].as_f64().unwrap()
    });
    let own = shares.filter(|share| *share == 1.0).count();
    assert!((4..12).contains(&own), "{own} of 12 steps");
    let told = sandbox.run(&with("distill", &[CACHE, "--overwrite", "distill.lmbda=1"]));
    assert!(
        told.contains(
            "`distill.lmbda` has answers generated anew, of which no cache knows anything"
        ),
        "{told}"
    );
}

#[test]
fn a_teacher_is_asked_once_and_any_student_learns_from_that() {
    let sandbox = sandbox();
    let shown = sandbox.run(&with("train", &[CACHE]));
    assert_shown!(shown, @r"
    exit code: 1
    ----- stderr -----
    data: started
    data: done in [time]
    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    error: `cache` holds no cache of what this teacher says of these rows

    hint: `slm-tune teach RECIPE` asks the teacher, and keeps what it says
    ");
    let shown = sandbox.run(&with("teach", &[CACHE]));
    assert_shown!(shown, @r"
    exit code: 0
    ----- stdout -----
    cache       cache/[key]
    shards      1 of 1
    taught now  9 rows, 206 tokens in [time]: [speed] tokens/s
    rows        9, 18 learned tokens
    kept        32.0 likely tokens of each, 13.97 % of the probability
    size        3.0 KB, 164.9 bytes per learned token
    ----- stderr -----
    teach: started
    teach: done in [time]
    ");
    let found = sandbox.json(&with("teach", &[CACHE, "--check", "--json"]));
    assert_eq!(found["complete"]["learned_tokens"], 18);
    assert_eq!(found["complete"]["kept_tokens"], 18 * 32);
    // Another temperature, another loss, another rank: the same cache.
    for settings in [
        ["distill.temperature=1", "lora.r=2"],
        ["distill.divergence=jsd", "lora.r=3"],
    ] {
        let more = [&[CACHE, "--overwrite", "--quiet"], &settings[..]].concat();
        sandbox.succeeds(&with("train", &more));
    }
    let folders = fs_err::read_dir(sandbox.path("cache")).unwrap().count();
    assert_eq!(folders, 1);
}

#[test]
fn distill_asks_the_teacher_by_itself() {
    let sandbox = sandbox();
    let full = [CACHE, "distill.top_k=300", "distill.mass=1"];
    let shown = sandbox.run(&with("distill", &full));
    assert!(shown.contains("teach: done in "), "{shown}");
    let said = "nats from its teacher; of the divergence ";
    assert!(shown.contains(said), "{shown}");
    let page = sandbox.read("runs/student/report.html");
    assert!(page.contains("of the divergence are not seen with `top_k = 300`"));
    // At full k the cache is the teacher, whatever rows share a batch.
    let again = ["--overwrite", "--quiet"];
    for packing in ["data.packing=false", "data.packing=true"] {
        sandbox.succeeds(&with("train", &[&full[..], &again, &[packing]].concat()));
        let cached = steps(&sandbox);
        sandbox.succeeds(&with("train", &[&again[..], &[packing]].concat()));
        let live = steps(&sandbox);
        assert_eq!((cached.len(), live.len()), (6, 6));
        for (cached, live) in cached.iter().zip(&live) {
            let figure = |step: &Value, name: &str| step[name].as_f64().unwrap();
            let limit = 1e-3 * figure(live, "loss");
            for name in ["loss", "distill/divergence"] {
                let [cached, live] = [cached, live].map(|step| figure(step, name));
                assert!((cached - live).abs() < limit, "{name}: {cached} {live}");
            }
        }
    }
}

#[test]
fn a_plan_has_the_teacher_and_its_proof() {
    let sandbox = sandbox();
    let plan = sandbox.json(&with("check", &["--json"]));
    assert_eq!(plan["plan"]["teacher"], "runs/teacher");
    // A teacher that is asked in every step is there beside the student; one with a cache, or elsewhere, is not.
    let of_teacher = |plan: &Value| plan["plan"]["memory"]["teacher_bytes"].as_u64().unwrap();
    assert!(of_teacher(&plan) > 19_936 * 4, "{plan}");
    let cached = sandbox.json(&with("check", &["--json", CACHE]));
    assert_eq!(of_teacher(&cached), 0);
    let shown = sandbox.run(&with("check", &[]));
    assert!(shown.contains("for the teacher\n"), "{shown}");
    let shown = sandbox.run(&with("check", &["model.chat_template=other.jinja"]));
    assert!(shown.contains("other.jinja"), "{shown}");
    sandbox.write(
        "other.jinja",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    );
    let shown = sandbox.run(&with("check", &["model.chat_template=other.jinja"]));
    let noted = "the teacher reads the rows in the student's chat template, which is not its own";
    assert!(shown.contains(noted), "{shown}");
}

/// So many rows that they are two shards.
fn with_two_shards() -> Sandbox {
    let sandbox = sandbox();
    let mut rows = String::new();
    for n in 0..2200 {
        writeln!(rows, r#"{{"text": "Parcel {n}?", "topic": "delivery"}}"#).unwrap();
    }
    sandbox.write("rows.jsonl", rows);
    sandbox
}

#[test]
fn workers_share_the_shards() {
    let sandbox = with_two_shards();
    let found = sandbox.json(&with("teach", &[CACHE, "--shard", "2/2", "--json"]));
    assert_eq!(found["missing"], serde_json::json!([1]));
    assert_eq!(found["taught"]["shards"], 1);
    let shown = sandbox.run(&with("teach", &[CACHE, "--check"]));
    assert_shown!(shown.replace(found["folder"].as_str().unwrap(), "[cache]"), @r"
    exit code: 1
    ----- stderr -----
    error: the teacher's cache `[cache]` lacks 1 of 2 shards: 1

    hint: `slm-tune teach RECIPE` makes those that are missing; where several machines share the work, one of them did not end
    ");
    let found = sandbox.json(&with("teach", &[CACHE, "--shard", "1/2", "--json"]));
    assert_eq!(
        (&found["missing"], &found["shards"]),
        (&serde_json::json!([]), &2.into())
    );
    assert_eq!(found["complete"]["rows"], 1650);
    let bytes = found["complete"]["bytes_per_token"].as_f64().unwrap();
    assert!(bytes < 120.0, "{bytes}");
    let shown = sandbox.run(&["teach", "adapter.toml", "--shard", "3/2"]);
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: invalid value '3/2' for '--shard <I/N>': a part and how many there are is needed, from `1/8` to `8/8`

    For more information, try '--help'.
    ");
}

#[test]
fn a_shard_that_was_cut_off_is_named_and_made_again() {
    let sandbox = with_two_shards();
    let found = sandbox.json(&with("teach", &[CACHE, "--json"]));
    let folder = found["folder"].as_str().unwrap().to_owned();
    let shard = sandbox.path(&format!("{folder}/shard-00002-of-00002.parquet"));
    let whole = fs_err::read(&shard).unwrap();
    fs_err::write(&shard, &whole[..whole.len() / 2]).unwrap();
    let shown = sandbox.run(&with("train", &[CACHE]));
    assert_shown!(shown.replace(&folder, "[cache]"), @r"
    exit code: 1
    ----- stderr -----
    data: started
    data: done in [time]
    mask         tokens  learned  held out  learned
    prompt       27,218        0     9,072        0
    completion    1,650    1,650       550      550
    end of turn   1,650    1,650       550      550
    of 2,200 sequences, 2,200 learn something, 2,200 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    error: `[cache]/shard-00002-of-00002.parquet` of the teacher's cache is not usable: its digest is not the one in `complete.json`

    hint: delete `[cache]/shard-00002-of-00002.parquet`; `slm-tune teach RECIPE` makes it again, and keeps the rest
    ");
    fs_err::remove_file(&shard).unwrap();
    let found = sandbox.json(&with("teach", &[CACHE, "--json"]));
    let taught = &found["taught"];
    assert_eq!(
        (&taught["shards"], &taught["kept_shards"]),
        (&1.into(), &1.into())
    );
    assert_eq!(fs_err::read(&shard).unwrap(), whole, "the same bytes");
}

#[test]
fn a_cache_of_something_else_is_named() {
    let sandbox = sandbox();
    sandbox.succeeds(&with("teach", &[CACHE, "--quiet"]));
    let last = |shown: String| {
        let error = shown.lines().find(|line| line.starts_with("error: "));
        error.unwrap().to_owned()
    };
    let shown = sandbox.run(&with("train", &[CACHE, "distill.teacher.path=base"]));
    assert!(last(shown).ends_with("the nearest is of another teacher"));
    let shown = sandbox.run(&with("train", &[CACHE, "--overwrite", "data.val_every=3"]));
    assert!(last(shown).ends_with("the nearest is of another set of rows"));
    sandbox.write(
        "other.jinja",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    );
    let shown = sandbox.run(&with(
        "train",
        &[CACHE, "--overwrite", "model.chat_template=other.jinja"],
    ));
    assert!(last(shown).ends_with("the nearest is of another chat template"));
}

#[test]
fn a_cache_that_its_teacher_would_not_say_is_refused() {
    let sandbox = sandbox();
    sandbox.succeeds(&with("teach", &[CACHE, "--quiet"]));
    let shown = sandbox.run(&with("train", &[CACHE, "distill.max_gap=1e-12"]));
    assert!(
        shown.contains("error: the cache is not what the teacher says: on 9 rows they are "),
        "{shown}"
    );
    assert!(
        shown.contains("and `distill.max_gap` is 0.000000000001"),
        "{shown}"
    );
}

/// A teacher whose tokens are pieces of other words.
#[test]
fn a_teacher_of_another_vocabulary_teaches_by_sorted_probabilities() {
    let sandbox = sandbox();
    let rows = "{\"text\": \"deliver refund\", \"topic\": \"returns\"}\n".repeat(8);
    sandbox.write("words.jsonl", rows);
    let path = "data.train.0.path=words.jsonl";
    sandbox.succeeds(&["train", "scratch.toml", path, "--quiet"]);
    let uld = [
        "distill.teacher.path=runs/scratch/export/merged",
        "distill.loss=uld",
        "distill.temperature=1.5",
        "distill.alpha=0.5",
    ];
    for more in [
        &[][..],
        &["distill.lmbda=1", "distill.generation.max_new_tokens=4"],
    ] {
        let shown = sandbox.run(&with(
            "distill",
            &[&uld[..], &["--overwrite"], more].concat(),
        ));
        assert!(
            shown.contains("learned tokens ")
                && shown.contains(" begin where one of the teacher's does"),
            "{shown}"
        );
        let steps = steps(&sandbox);
        assert_eq!(steps.len(), 6);
        for step in &steps {
            let distance = step["distill/divergence"].as_f64().unwrap();
            assert!((0.0..=2.0).contains(&distance), "{step}");
            assert_eq!(step["distill/agreement"], Value::Null, "{step}");
            let own = step["distill/own_share"].as_f64().unwrap_or(0.0);
            let given = if own < 1.0 {
                step["distill/cross_entropy"].as_f64().unwrap()
            } else {
                0.0
            };
            let loss = 0.5 * 1.5 * distance + 0.5 * (1.0 - own) * given;
            assert!(
                (step["loss"].as_f64().unwrap() - loss).abs() < 1e-9,
                "{step}"
            );
        }
    }
}

#[test]
fn a_teacher_of_another_vocabulary_is_refused_before_it_is_loaded() {
    let sandbox = sandbox();
    let rows = "{\"text\": \"zebras graze\", \"topic\": \"zoo\"}\n".repeat(8);
    sandbox.write("zoo.jsonl", rows);
    let path = "data.train.0.path=zoo.jsonl";
    sandbox.succeeds(&["train", "scratch.toml", path, "--quiet"]);
    let weights = sandbox.path("runs/scratch/export/merged/model.safetensors");
    fs_err::remove_file(weights).unwrap();
    let shown = sandbox.run(&with(
        "distill",
        &["distill.teacher.path=runs/scratch/export/merged"],
    ));
    assert_shown!(shown, @r#"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: the teacher `runs/scratch/export/merged` has another vocabulary: 22 of 281 shared ids are other tokens; 259 is `es` to the student and `ra` to the teacher; 260 is `ge` to the student and `ze` to the teacher; 261 is `ic` to the student and `Me` to the teacher; 262 is ` r` to the student and `To` to the teacher; 263 is `Mes` to the student and `ag` to the teacher

    hint: distributions over tokens compare only between models of one vocabulary: take a teacher of the student's family, or compare sorted probabilities, `distill.loss = "uld"`
    "#);
}

#[test]
fn a_teacher_that_is_not_there_is_told() {
    let sandbox = sandbox();
    assert_shown!(sandbox.run(&["distill", "adapter.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: recipe `adapter.toml` has no `[distill]`

    hint: say who teaches: `distill.teacher.path=FOLDER` after the recipe, or in it; without a teacher, `slm-tune train`
    ");
    assert_shown!(sandbox.run(&with("distill", &["distill.teacher.path=nowhere"])), @r"
    exit code: 2
    ----- stderr -----
    data: started
    data: done in [time]
    error: failed to find the teacher `nowhere`
      caused by: no model at `nowhere`, and it is not a hub name either

    hint: give the path of a model folder, or a hub name such as `owner/name`
    ");
    assert_shown!(sandbox.run(&with("teach", &[])), @r"
    exit code: 2
    ----- stderr -----
    error: there is nowhere to keep what the teacher says

    hint: name a folder, `distill.cache_dir=cache/teacher`; without one, `slm-tune distill` asks the teacher in every step
    ");
}

#[test]
fn a_cache_that_cannot_be_written_is_told() {
    let sandbox = sandbox();
    let shown = sandbox.run(&with("teach", &["distill.cache_dir=rows.jsonl/cache"]));
    assert_shown!(shown, @r"
    exit code: 1
    ----- stderr -----
    teach: started
    teach: failed in [time]
    error: failed to write the teacher's cache
      caused by: `rows.jsonl/cache/[key]` cannot be a folder: a part of that path is a file

    hint: choose a folder that can be written with `distill.cache_dir`
    ");
}

/// A shard that the disk has no room for is absent, the one before it stays, and with more room the rest is taught.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn a_full_disk_loses_no_shard_that_was_written() {
    let sandbox = with_two_shards();
    let teach = format!(
        "$TUNE {}",
        with("teach", &["distill.cache_dir=disk/cache"]).join(" ")
    );
    let script = format!(
        "{teach} --quiet; echo first $?; ls disk/cache/*; mount -o remount,size=4m disk; {teach} --json --quiet"
    );
    let Some(shown) = sandbox.with_disk("size=68k", &script) else {
        println!("skipped: 1 mount, this machine has no user namespaces");
        return;
    };
    let (first, second) = shown.split_once("first ").unwrap();
    assert!(
        first.contains("exit code: 0") && second.starts_with("1\n"),
        "{shown}"
    );
    let (held, second) = second.split_once('{').unwrap();
    assert!(held.contains("shard-00001-of-00002.parquet"), "{shown}");
    assert!(
        !held.contains("shard-00002") && !held.contains("partial"),
        "{shown}"
    );
    let error = "error: failed to write the teacher's cache\n  caused by: no space is left to write `disk/cache/";
    assert_eq!(second.matches(error).count(), 1, "{shown}");
    assert!(
        second.contains("\"shards\":1,\"kept_shards\":1") || second.contains("\"kept_shards\": 1"),
        "{shown}"
    );
}

/// A teacher that begins every text with a token reads no rows without it.
#[test]
fn rows_without_the_teachers_first_token_are_refused() {
    let sandbox = sandbox();
    fs_err::create_dir(sandbox.path("begins")).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        if sandbox.path("base").join(name).exists() {
            sandbox.write(
                &format!("begins/{name}"),
                sandbox.read(&format!("base/{name}")),
            );
        }
    }
    let mut tokenizer: Value =
        serde_json::from_str(&sandbox.read("begins/tokenizer.json")).unwrap();
    let first = tokenizer["added_tokens"][0].clone();
    let (id, text) = (
        first["id"].clone(),
        first["content"].as_str().unwrap().to_owned(),
    );
    tokenizer["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": text, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {&text: {"id": text, "ids": [id], "tokens": [text]}},
    });
    sandbox.write("begins/tokenizer.json", tokenizer.to_string());
    let mut config: Value = match sandbox.path("begins/tokenizer_config.json").exists() {
        true => serde_json::from_str(&sandbox.read("begins/tokenizer_config.json")).unwrap(),
        false => serde_json::json!({}),
    };
    config["bos_token"] = text.clone().into();
    sandbox.write("begins/tokenizer_config.json", config.to_string());
    let shown = sandbox.run(&with("distill", &["distill.teacher.path=begins"]));
    let error = format!(
        "error: the teacher puts `{text}` before every text, and 9 of 9 rows do not begin with it"
    );
    assert!(
        shown.contains(&error) && shown.starts_with("exit code: 2"),
        "{shown}"
    );
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_resumed_to_the_same_weights() {
    let weights = "runs/student/export/adapter/adapter_model.safetensors";
    for more in [&[][..], &[CACHE]] {
        let long = ["train.max_steps=400", "train.save_steps=50", "--json"];
        let long = with("distill", &[&long[..], more].concat());
        let straight = sandbox();
        straight.succeeds(&long);
        let killed = sandbox();
        killed.stopped(&long, "-KILL", "\"event\":\"checkpoint\"");
        killed.succeeds(&["resume", "runs/student", "--quiet"]);
        let [straight, killed] = [straight, killed].map(|it| it.tensors(weights));
        assert!(killed == straight, "{more:?}");
    }
}
