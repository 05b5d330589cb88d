//! A student of a teacher behind an endpoint: asked, answered, learned, in one command.

use serde_json::{Value, json};
use slm_testkit::{Reply, Seen, Server};

use crate::sandbox::{Sandbox, assert_shown};

const WEIGHTS: &str = "runs/synth/export/adapter/adapter_model.safetensors";

/// What a teacher says to the messages of `rows.jsonl`, and how likely another answer was. It spells `delivery` in two tokens.
fn scored(seen: &Seen) -> Reply {
    let token = |text: &str, logprob: f64, other: &str| {
        let top = [
            json!({"token": text, "bytes": text.as_bytes(), "logprob": logprob}),
            json!({"token": other, "bytes": other.as_bytes(), "logprob": -2.0}),
        ];
        json!({"token": text, "bytes": text.as_bytes(), "logprob": logprob, "top_logprobs": top})
    };
    match seen.prompt().contains("money") || seen.prompt().contains("refund") {
        true => Reply::Scored(
            "refund".into(),
            json!({"content": [token("refund", -0.25, "delivery")]}),
        ),
        false => {
            let content = [token("deli", -0.5, "refund"), token("very", -0.5, "cious")];
            Reply::Scored("delivery".into(), json!({"content": content}))
        }
    }
}

/// A base, and a recipe `synth.toml` whose teacher is this server.
fn sandbox(server: &Server) -> Sandbox {
    let (sandbox, url) = (Sandbox::with_base(), &server.base_url);
    sandbox.write(
        "synth.toml",
        format!(
            "extends = \"adapter.toml\"\nname = \"synth\"\n[train]\nmax_steps = 6\n[export]\ngguf = []\n[distill]\nmethod = \"sequence\"\n\
             temperature = 1.0\n[distill.teacher]\nbase_url = \"{url}\"\nmodel = \"big\"\nmax_tokens = 10\nbudget_tokens = 200_000\n"
        ),
    );
    sandbox
}

fn steps(sandbox: &Sandbox) -> Vec<Value> {
    let text = sandbox.read("runs/synth/metrics.jsonl");
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_step = |event: &Value| event["event"] == "step";
    events.filter(is_step).collect()
}

#[test]
fn one_command_asks_and_learns() {
    let server = Server::start(|seen, _| scored(seen));
    let sandbox = sandbox(&server);
    let shown = sandbox.run(&["distill", "synth.toml"]);
    let asked = "`big` answered 9 prompts: 9 rows; 151 tokens, $0.0000; 9 asked, 0 from the journal, 0 sent again";
    assert!(shown.contains(asked), "{shown}");
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    let manifest: Value =
        serde_json::from_str(&sandbox.read("runs/synth/data/manifest.json")).unwrap();
    let sources = |at: usize, name: &str| manifest["sources"][at][name].clone();
    assert_eq!(sources(0, "path"), "runs/synth.rows/rows.jsonl");
    assert_eq!(
        (sources(0, "rows"), sources(1, "rows")),
        (9.into(), 3.into())
    );
    assert_eq!(sources(1, "path"), "runs/synth.rows/held_out.jsonl");
    // What is held out is held out of what the recipe's rows say, not of what the teacher says.
    let held_out = sandbox.read("runs/synth.rows/held_out.jsonl");
    assert!(
        !sandbox.read("runs/synth.rows/rows.jsonl").contains(
            serde_json::from_str::<Value>(held_out.lines().next().unwrap()).unwrap()["prompt"]
                .as_str()
                .unwrap()
                .lines()
                .next()
                .unwrap()
        )
    );
    assert!(steps(&sandbox)[0].get("distill/divergence").is_none());
    let weights = sandbox.tensors(WEIGHTS);
    // Again: the journal answers, and nothing is left to do; `train` takes the rows as they are.
    let requests = server.log().seen.len();
    let shown = sandbox.run(&["distill", "synth.toml", "--offline"]);
    assert!(shown.contains("0 asked, 9 from the journal"), "{shown}");
    assert!(shown.contains("train: skipped"), "{shown}");
    sandbox.succeeds(&["train", "synth.toml", "--overwrite", "--quiet"]);
    assert!(sandbox.tensors(WEIGHTS) == weights);
    assert_eq!(server.log().seen.len(), requests);
    let plan = sandbox.json(&["check", "synth.toml", "--json"]);
    assert_eq!(plan["plan"]["teacher"], "big");
}

#[test]
fn what_a_server_says_of_its_tokens_is_learned() {
    let server = Server::start(|seen, _| scored(seen));
    let sandbox = sandbox(&server);
    let top = "distill.teacher.top_logprobs=2";
    let shown = sandbox.run(&["distill", "synth.toml", top]);
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    let of_rows = sandbox
        .read("runs/synth.rows/rows.jsonl")
        .matches(r#""completion":" refund""#)
        .count();
    assert!((1..9).contains(&of_rows));
    // Of nine answers and their ends, those of one token are the student's as well; there, both labels are likely.
    let told = format!(
        "of 18 learned tokens, {of_rows} are the server's as well, and are learned with {} likely tokens; 0 likely ones are no token here and count among all others; 0 rows have none",
        2 * of_rows
    );
    assert!(shown.contains(&told), "{told}: {shown}");
    let steps = steps(&sandbox);
    for step in &steps {
        let figure = |name: &str| step[name].as_f64().unwrap();
        let loss = 0.5 * figure("distill/divergence") + 0.5 * figure("distill/cross_entropy");
        assert!((figure("loss") - loss).abs() < 1e-9, "{step}");
        assert!(figure("distill/divergence") >= 0.0);
    }
    let total: f64 = steps
        .iter()
        .map(|it| it["distill/divergence"].as_f64().unwrap())
        .sum();
    assert!(total > 0.1, "{total}");
    let page = sandbox.read("runs/synth/report.html");
    assert!(page.contains("big"), "the page names who taught");
    let shown = sandbox.run(&[
        "train",
        "synth.toml",
        top,
        "--overwrite",
        "distill.temperature=2",
    ]);
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: a server's log-probabilities are at temperature 1, and `distill.temperature` is 2

    hint: `distill.temperature = 1` learns them; `distill.teacher.top_logprobs = 0` learns the answers alone
    ");
}

#[test]
fn a_server_whose_tokens_never_align_is_refused() {
    let server = Server::start(|_, _| {
        let token = |text: &str| json!({"token": text, "logprob": -0.1, "top_logprobs": []});
        let letters = ["d", "e", "l", "i", "v", "e", "r", "y"].map(token);
        Reply::Scored("delivery".into(), json!({"content": letters}))
    });
    let sandbox = sandbox(&server);
    let shown = sandbox.run(&["distill", "synth.toml", "distill.teacher.top_logprobs=2"]);
    let error = "error: of 18 learned tokens none is one of the server's as well: there is nothing to learn of its log-probabilities";
    assert!(
        shown.contains(error) && shown.starts_with("exit code: 2"),
        "{shown}"
    );
    // The answers are paid for, and teach by themselves.
    let (asked, alone) = (server.log().seen.len(), "distill.teacher.top_logprobs=2");
    assert_eq!(asked, 9);
    let more = ["synth", "synth.toml", alone, "--offline", "--quiet"];
    sandbox.succeeds(&more);
}

#[cfg(unix)]
#[test]
fn a_killed_student_is_resumed_to_the_same_weights() {
    let server = Server::start(|seen, _| scored(seen));
    let long = [
        "distill",
        "synth.toml",
        "distill.teacher.top_logprobs=2",
        "train.max_steps=400",
        "train.save_steps=50",
        "--json",
    ];
    let straight = sandbox(&server);
    straight.succeeds(&long);
    let killed = sandbox(&server);
    killed.stopped(&long, "-KILL", "\"event\":\"checkpoint\"");
    killed.succeeds(&["resume", "runs/synth", "--quiet"]);
    assert!(killed.tensors(WEIGHTS) == straight.tensors(WEIGHTS));
}

/// Answers that a full disk had room for are not asked for again.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn a_full_disk_loses_no_answer_that_was_written() {
    let server = Server::start(|_, _| Reply::Text("x".repeat(1500)));
    let sandbox = sandbox(&server);
    let synth =
        "$TUNE synth synth.toml output_dir=disk/synth distill.teacher.requests_in_flight=1 --quiet";
    let script = format!("{synth}; echo first $?; mount -o remount,size=1m disk; {synth} --json");
    let Some(shown) = sandbox.with_disk("size=8k", &script) else {
        println!("skipped: 1 mount, this machine has no user namespaces");
        return;
    };
    let error = "error: no space is left to write `disk/synth.rows/journal.jsonl`";
    assert!(shown.contains("first 1\n"), "{shown}");
    assert_eq!(shown.matches(error).count(), 1, "{shown}");
    let json = &shown[shown.find('{').unwrap()..=shown.rfind('}').unwrap()];
    let found: Value = serde_json::from_str(json).unwrap();
    let count = |name: &str| found["cost"][name].as_u64().unwrap();
    let (asked, kept) = (count("asked"), count("from_journal"));
    assert!(kept >= 3 && asked + kept == 9, "{shown}");
    // Of the request that was under way when the disk was full, the answer is lost.
    assert!(server.log().seen.len() as u64 <= 9 + 1, "{shown}");
}
