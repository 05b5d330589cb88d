//! Several processes that train one model, launched as `torchrun` launches them, on the loopback address.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::sandbox::{Sandbox, shown};

/// Longer than any of these runs takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Steps enough to end a process between them.
const LONG: &[&str] = &["train.max_steps=4000", "train.save_steps=1000"];

/// What a launcher says to a process.
fn rank(command: &mut Command, rank: usize, of: usize, port: u16) -> &mut Command {
    command
        .env("RANK", rank.to_string())
        .env("LOCAL_RANK", rank.to_string())
        .env("WORLD_SIZE", of.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .env("OMP_NUM_THREADS", "1")
        .env("RAYON_NUM_THREADS", "1")
}

/// A port for one launch, below those that the system gives out by itself: Gloo asks it for some.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 1_000) as u16 * 10;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap()
}

/// Processes of one launch; those that are left end with it.
struct Launch(Vec<Child>);

impl Launch {
    fn new(sandbox: &Sandbox, n: usize, arguments: &[&str]) -> Self {
        let port = port();
        let start = |at| {
            let mut command = sandbox.command(arguments);
            let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
            rank(command, at, n, port).spawn().unwrap()
        };
        Self((0..n).map(start).collect())
    }

    /// What each said, once all have ended.
    fn outputs(mut self) -> Vec<Output> {
        let began = Instant::now();
        while !self.0.iter_mut().all(|it| it.try_wait().unwrap().is_some()) {
            assert!(began.elapsed() < PATIENCE, "they do not end");
            sleep(Duration::from_millis(20));
        }
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|it| it.wait_with_output().unwrap()).collect()
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn succeed(sandbox: &Sandbox, n: usize, arguments: &[&str]) {
    for output in Launch::new(sandbox, n, arguments).outputs() {
        assert!(output.status.success(), "{}", shown(&output));
    }
}

/// Events of a kind in a run.
fn events(sandbox: &Sandbox, run: &str, kind: &str) -> Vec<Value> {
    let metrics = sandbox.read(&format!("runs/{run}/metrics.jsonl"));
    let events = metrics.lines().map(|it| serde_json::from_str(it).unwrap());
    events.filter(|it: &Value| it["event"] == kind).collect()
}

fn assert_near(found: &[Value], wanted: &[Value], keys: &[&str]) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        for key in keys {
            let [a, b] = [found, wanted].map(|it| it[*key].as_f64().unwrap());
            let off = (a - b).abs() / b.abs().max(1.0);
            assert!(off < 1e-5, "{key}: {a}, needed {b}, at {wanted}");
        }
    }
}

/// The values of an adapter's file, in the order of the file.
fn adapter(path: &Path) -> Vec<f32> {
    let bytes = fs_err::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let values = bytes[8 + length..].chunks_exact(4);
    values
        .map(|it| f32::from_le_bytes(it.try_into().unwrap()))
        .collect()
}

/// One process against several, with micro-batches that do not divide evenly at the end of an epoch.
fn take_the_same_steps(device: &str, n: usize, more: &[&str]) {
    let sandbox = Sandbox::with_base();
    let device = format!("model.device={device}");
    let common = [
        &[
            "train",
            "adapter.toml",
            &device,
            "--quiet",
            "train.max_steps=8",
        ],
        &[
            "train.per_device_train_batch_size=1",
            "lora.lora_dropout=0.1",
        ][..],
        more,
    ]
    .concat();
    let accumulated = format!("train.gradient_accumulation_steps={n}");
    sandbox.succeeds(&[&common[..], &["name=one", &accumulated]].concat());
    succeed(&sandbox, n, &[&common[..], &["name=all"]].concat());
    let [one, all] = ["one", "all"].map(|run| events(&sandbox, run, "step"));
    assert_eq!(all.len(), 8);
    assert_near(
        &all,
        &one,
        &["loss", "entropy", "token_accuracy", "grad_norm", "lr"],
    );
    for (all, one) in all.iter().zip(&one) {
        assert_eq!(all["learned_tokens"], one["learned_tokens"]);
        assert_eq!(all["tokens"], one["tokens"]);
    }
    let [one, all] = ["one", "all"].map(|run| events(&sandbox, run, "eval"));
    assert_near(&all, &one, &["loss"]);
    let [one, all] = ["one", "all"].map(|run| {
        let file = format!("runs/{run}/export/adapter/adapter_model.safetensors");
        adapter(&sandbox.path(&file))
    });
    let off = one.iter().zip(&all).map(|(a, b)| (a - b).abs());
    let worst = off.fold(0.0, f32::max);
    assert!(one.len() == all.len() && worst < 2e-5, "{worst:e}");
}

#[test]
fn two_processes_take_the_steps_of_one_with_twice_the_micro_batches() {
    take_the_same_steps("cpu", 2, &[]);
    take_the_same_steps("libtorch:cpu", 2, &["train.gradient_checkpointing=true"]);
}

#[test]
fn four_processes_take_the_steps_of_one_with_four_times_the_micro_batches() {
    take_the_same_steps("cpu", 4, &[]);
}

#[test]
fn a_resumed_run_may_have_another_number_of_processes() {
    let sandbox = Sandbox::with_base();
    let run = [
        "adapter.toml",
        "--quiet",
        "train.per_device_train_batch_size=1",
    ];
    let whole = [&["train"], &run[..], &["name=whole", "train.max_steps=8"]].concat();
    succeed(&sandbox, 4, &whole);
    let part = [
        &["train"],
        &run[..],
        &[
            "name=part",
            "train.max_steps=8",
            "train.save_total_limit=0",
            "train.save_steps=4",
        ],
    ];
    succeed(&sandbox, 4, &part.concat());
    // As a run that was stopped after step 4.
    for entry in fs_err::read_dir(sandbox.path("runs/part/checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() > "step-000004" {
            fs_err::remove_dir_all(path).unwrap();
        }
    }
    let steps = events(&sandbox, "part", "step");
    let lines = steps[..4].iter().map(|it| format!("{it}\n"));
    sandbox.write("runs/part/metrics.jsonl", lines.collect::<String>());
    sandbox.replace("runs/part/run.json", "\"done\"", "\"interrupted\"");
    succeed(&sandbox, 2, &["resume", "runs/part", "--quiet"]);
    let [whole, part] = ["whole", "part"].map(|run| events(&sandbox, run, "step"));
    assert_near(&part, &whole, &["loss", "grad_norm", "lr"]);
}

/// A launch that trains for long, and has taken a step.
fn under_way(sandbox: &Sandbox, n: usize) -> Launch {
    let arguments = [&["train", "adapter.toml", "--quiet"], LONG].concat();
    let launch = Launch::new(sandbox, n, &arguments);
    let began = Instant::now();
    let metrics = sandbox.path("runs/adapter/metrics.jsonl");
    while !fs_err::read_to_string(&metrics).is_ok_and(|it| it.lines().count() > 2) {
        assert!(began.elapsed() < PATIENCE, "it takes no step");
        sleep(Duration::from_millis(20));
    }
    launch
}

#[test]
fn a_lost_process_stops_the_others_with_a_checkpoint_to_resume_from() {
    let sandbox = Sandbox::with_base();
    let mut launch = under_way(&sandbox, 3);
    launch.0[1].kill().unwrap();
    let outputs = launch.outputs();
    for at in [0, 2] {
        let shown = shown(&outputs[at]);
        assert!(shown.starts_with("exit code: 1\n"), "{shown}");
        assert!(
            shown.contains("was not taken: another process was lost"),
            "{shown}"
        );
        assert!(shown.contains("`slm-tune resume` goes on"), "{shown}");
    }
    let steps = events(&sandbox, "adapter", "step").len();
    let kept = format!("runs/adapter/checkpoints/step-{steps:06}/state.json");
    assert!(sandbox.path(&kept).exists(), "{:#?}", sandbox.tree());
    let mut resumed = sandbox.command(&["resume", "runs/adapter", "--json"]);
    let mut resumed = resumed.stdout(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while events(&sandbox, "adapter", "step").len() <= steps {
        assert!(began.elapsed() < PATIENCE, "it does not go on");
        sleep(Duration::from_millis(20));
    }
    resumed.kill().unwrap();
    resumed.wait().unwrap();
    let numbers = events(&sandbox, "adapter", "step");
    assert_eq!(numbers[steps]["step"], steps + 1);
}

#[test]
fn the_first_process_takes_the_others_with_it() {
    let sandbox = Sandbox::with_base();
    let mut launch = under_way(&sandbox, 2);
    launch.0[0].kill().unwrap();
    let outputs = launch.outputs();
    assert_eq!(outputs[1].status.code(), Some(1), "{}", shown(&outputs[1]));
}
