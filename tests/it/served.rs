use std::{
    collections::HashSet,
    process::Stdio,
    time::{Duration, Instant},
};

use slm_testkit::{Reply, Seen, Server};

use crate::sandbox::{Sandbox, assert_shown};

/// What a teacher says to the messages of `rows.jsonl`.
fn topic(seen: &Seen) -> String {
    let prompt = seen.prompt();
    let refund = ["refund", "money", "pay", "charged", "return"];
    let is_refund = refund
        .iter()
        .any(|word| prompt.to_lowercase().contains(word));
    if is_refund { "refund" } else { "delivery" }.into()
}

/// A sandbox whose recipe `synth.toml` names this server as teacher.
fn taught_by(server: &Server, lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let url = &server.base_url;
    sandbox.write("synth.toml", format!(
        "extends = \"adapter.toml\"\nname = \"synth\"\n[distill]\nmethod = \"sequence\"\n[distill.teacher]\nbase_url = \"{url}\"\nmodel = \"big\"\n\
         max_tokens = 10\nbudget_tokens = 200_000\nbackoff_s = 0.005\n{lines}\n"
    ));
    sandbox
}

fn synth(server: &Server, sandbox: &Sandbox, more: &[&str]) -> String {
    let shown = sandbox.run(&[&["synth", "synth.toml"], more].concat());
    shown.replace(&server.base_url, "URL")
}

#[test]
fn a_teachers_answers_become_rows_that_train_reads() {
    let server = Server::start(
        |seen, turn| match (seen.prompt().contains("courier"), turn) {
            (true, 0) => Reply::Status(500, "", String::new()),
            (true, _) => Reply::Text("no idea".into()),
            _ => Reply::Text(topic(seen)),
        },
    );
    let sandbox = taught_by(
        &server,
        "[distill.filters]\nlabels = [\"delivery\", \"refund\"]",
    );
    assert_shown!(synth(&server, &sandbox, &["--quiet"]), @r"
    exit code: 0
    ----- stdout -----
    teacher  big
    prompts  9, 1 of them without a row
    answers  9
             1 dropped: labels
    rows     8
    cost     152 tokens, $0.0000; 9 asked, 0 from the journal, 1 sent again

    wrote `runs/synth.rows/rows.jsonl`
    ");
    let first = sandbox.read("runs/synth.rows/rows.jsonl");
    let row: serde_json::Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert_eq!(row["prompt"], "Message: I want my money back.\nTopic:");
    assert_eq!(row["completion"], " refund");
    assert_eq!(row["teacher"]["model"], "big");
    assert_eq!(row["teacher"]["origin"], "rows.jsonl:2");
    assert_eq!(
        row["teacher"]["filters"],
        serde_json::json!(["empty", "finished", "labels"])
    );
    let dropped = sandbox.read("runs/synth.rows/dropped.jsonl");
    assert!(dropped.contains("\"dropped_by\":\"labels\"") && dropped.lines().count() == 1);
    // Again, and nothing is asked; offline as well.
    let asked = server.log().seen.len();
    let again = sandbox.json(&["synth", "synth.toml", "--json", "--quiet", "--offline"]);
    assert_eq!(
        (
            again["cost"]["asked"].as_u64(),
            again["cost"]["from_journal"].as_u64()
        ),
        (Some(0), Some(9))
    );
    assert_eq!(
        (
            server.log().seen.len(),
            sandbox.read("runs/synth.rows/rows.jsonl")
        ),
        (asked, first)
    );
    let base = Sandbox::with_base();
    base.write("taught.jsonl", sandbox.read("runs/synth.rows/rows.jsonl"));
    let shown = base.json(&[
        "data",
        "stats",
        "adapter.toml",
        r#"data.train=[{path = "taught.jsonl"}]"#,
        "--json",
    ]);
    assert_eq!(
        shown["manifest"]["sources"][0]["format"],
        "prompt_completion"
    );
    assert_eq!(shown["manifest"]["sources"][0]["rows"], 8);
}

#[test]
fn conversations_and_samples_that_agree() {
    let server = Server::start(|seen, _| match seen.body["seed"].as_u64().unwrap() % 3 {
        0 => Reply::Text("Maybe.".into()),
        _ => Reply::Text(" Yes.\n".into()),
    });
    let lines = "temperature = 1.0\nsamples = 3\n[distill.filters]\nmin_agreement = 0.6";
    let sandbox = taught_by(&server, lines);
    let row = r#"{"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "No."}]}"#;
    sandbox.write("rows.jsonl", format!("{row}\n"));
    let rows = r#"data.train=[{path = "rows.jsonl"}]"#;
    let shown = synth(
        &server,
        &sandbox,
        &[
            rows,
            "data.val_every=0",
            "data.val_size=0",
            "eval.task=[]",
            "--quiet",
        ],
    );
    assert_shown!(shown, @r"
    exit code: 0
    ----- stdout -----
    teacher  big
    prompts  1, 0 of them without a row
    answers  3
             1 dropped: agreement
             1 dropped: repeated
    rows     1
    cost     33 tokens, $0.0000; 3 asked, 0 from the journal, 0 sent again

    wrote `runs/synth.rows/rows.jsonl`
    ");
    let row: serde_json::Value =
        serde_json::from_str(&sandbox.read("runs/synth.rows/rows.jsonl")).unwrap();
    assert_eq!(
        row["messages"][1],
        serde_json::json!({"role": "assistant", "content": "Yes."})
    );
    assert_eq!(row["messages"].as_array().unwrap().len(), 2);
    assert_eq!(
        row["teacher"]["agreement"]
            .as_f64()
            .map(|it| (it * 3.0).round()),
        Some(2.0)
    );
}

#[test]
fn what_a_served_teacher_does_wrong_is_told() {
    let other = Server::start(|seen, _| Reply::As("small", topic(seen)));
    let sandbox = taught_by(&other, "requests_in_flight = 1");
    assert_shown!(synth(&other, &sandbox, &[]), @r#"
    exit code: 2
    ----- stderr -----
    error: `URL` answers as model `small`, asked was `big`

    hint: pin the name that answers carry: `model = "small"`
    "#);
    let offline = synth(&other, &sandbox, &["--offline"]);
    assert_shown!(offline, @r"
    exit code: 2
    ----- stderr -----
    error: `URL` is not asked: 9 of 9 answers are not in the journal, and this is offline

    hint: leave `--offline` and `HF_HUB_OFFLINE` out
    ");
    let keyless = synth(
        &other,
        &sandbox,
        &["distill.teacher.api_key_env=SLM_TUNE_NO_SUCH_KEY"],
    );
    assert_shown!(keyless, @r"
    exit code: 2
    ----- stderr -----
    error: the environment variable `SLM_TUNE_NO_SUCH_KEY` is not set, and `URL` needs the key that it holds

    hint: `export SLM_TUNE_NO_SUCH_KEY=..`; a server that needs no key needs no `api_key_env`
    ");
    let local = sandbox.run(&["synth", "adapter.toml"]);
    let trained = sandbox.run(&["train", "synth.toml"]);
    assert_shown!(trained, @r"
    exit code: 2
    ----- stderr -----
    error: the recipe has a served teacher, which has not answered yet: its answers are the rows to learn from

    hint: `slm-tune distill synth.toml` asks it, and learns then
    ");
    assert_shown!(sandbox.run(&["teach", "synth.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: the recipe's teacher is behind an endpoint, and says what it knows with its answers

    hint: `slm-tune synth synth.toml` asks it for rows, with `distill.teacher.top_logprobs` for more; `slm-tune distill synth.toml` learns them as well
    ");
    assert_shown!(local, @r#"
    exit code: 2
    ----- stderr -----
    error: the recipe names no served teacher

    hint: set `method = "sequence"` in `[distill]`, and `base_url` and `model` in `[distill.teacher]`
    "#);
    let denied = Server::start(|_, _| {
        Reply::Status(
            404,
            "",
            "{\"error\": {\"message\": \"no such model\"}}".into(),
        )
    });
    let sandbox = taught_by(&denied, "");
    assert_shown!(synth(&denied, &sandbox, &["--quiet"]), @r"
    exit code: 2
    ----- stderr -----
    error: `URL/chat/completions` refuses with status 404: no such model

    hint: `base_url` usually ends in `/v1`, and `model` is one that `GET /models` lists
    ");
    let useless = Server::start(|_, _| Reply::Text("?".into()));
    let sandbox = taught_by(&useless, "[distill.filters]\njson = true");
    assert_shown!(synth(&useless, &sandbox, &["--quiet"]), @r"
    exit code: 1
    ----- stderr -----
    error: the filters keep none of 9 answers: json 9

    hint: `dropped.jsonl` beside the journal has every answer and why it was dropped
    ");
    let honest = Server::start(|seen, _| Reply::Text(topic(seen)));
    let sandbox = taught_by(&honest, "");
    let poor = synth(&honest, &sandbox, &["distill.teacher.budget_tokens=300"]);
    assert_shown!(poor, @r"
    exit code: 1
    ----- stderr -----
    error: the budget of 300 tokens does not allow another request, which may cost 352: 0 are spent on 0 of 9 answers

    hint: what was answered is in the journal: raise the budget and run it again, and only the rest is asked
    ");
}

#[test]
fn a_row_that_cannot_be_asked_is_named() {
    let server = Server::start(|seen, _| Reply::Text(topic(seen)));
    let sandbox = taught_by(&server, "");
    sandbox.write("texts.jsonl", "{\"text\": \"All of it is learned.\"}\n");
    let rows = r#"data.train=[{path = "texts.jsonl"}]"#;
    let shown = synth(
        &server,
        &sandbox,
        &[rows, "data.val_every=0", "data.val_size=0", "eval.task=[]"],
    );
    assert_shown!(shown, @r"
    exit code: 2
    ----- stderr -----
    error: row `texts.jsonl:1` cannot be asked: it has nothing before its answer
    ");
}

/// Killed at twenty points of one job: the rows are those of a job that nobody killed, and what was in the journal is never
/// asked again.
#[cfg(unix)]
#[test]
fn a_job_that_is_killed_again_and_again_pays_once() {
    const ROWS: usize = 120;
    const IN_FLIGHT: usize = 4;
    let server = Server::start(|seen, turn| match (seen.prompt().len() * 7 + turn) % 11 {
        0 => Reply::Status(500, "", String::new()),
        1 => Reply::Cut,
        rest => Reply::Late(Duration::from_millis(rest as u64), seen.prompt()),
    });
    let row = |i| {
        let marks = "!".repeat(i % 9);
        format!("{{\"prompt\": \"number {i}{marks}\", \"completion\": \" x\"}}\n")
    };
    let rows: String = (0..ROWS).map(row).collect();
    let sandbox = taught_by(&server, "requests_in_flight = 4");
    sandbox.write("rows.jsonl", &rows);
    let mut paid = HashSet::new();
    for kill in 0..20 {
        let before = server.log().seen.len();
        killed_after(
            &sandbox,
            &server,
            before + 1 + kill * 7 % 5,
            kill as u64 * 2971 % 9000,
        );
        let now = answered(&sandbox);
        assert!(now.is_superset(&paid), "round {kill}: an answer is gone");
        assert_eq!(
            asked_since(&server, before).intersection(&paid).next(),
            None,
            "round {kill}"
        );
        paid = now;
    }
    assert!(
        (20..ROWS).contains(&paid.len()),
        "{} answers in twenty rounds",
        paid.len()
    );
    let last = server.log().seen.len();
    sandbox.succeeds(&MANY);
    assert_eq!(asked_since(&server, last).intersection(&paid).next(), None);
    let undisturbed = taught_by(&server, "");
    undisturbed.write("rows.jsonl", &rows);
    let before = server.log().seen.len();
    undisturbed.succeeds(&MANY);
    // Of twenty processes, each may have lost what it had in flight; and of any eleven requests two or so are answered with a fault.
    assert!(
        before <= (ROWS + 20 * IN_FLIGHT) * 4 / 3,
        "{before} requests"
    );
    let rows = sandbox.read("runs/synth.rows/rows.jsonl");
    assert_eq!(rows.lines().count(), ROWS);
    assert_eq!(rows, undisturbed.read("runs/synth.rows/rows.jsonl"));
}

/// One row is a prompt that nothing else is asked of.
#[cfg(unix)]
const MANY: [&str; 6] = [
    "synth",
    "synth.toml",
    "data.train=[{path = \"rows.jsonl\"}]",
    "data.val_every=0",
    "data.val_size=0",
    "eval.task=[]",
];

/// Starts the job, and kills it a moment after the server has seen so many requests.
#[cfg(unix)]
fn killed_after(sandbox: &Sandbox, server: &Server, requests: usize, moment_us: u64) {
    let mut command = sandbox.command(&MANY);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, started) = (command.spawn().unwrap(), Instant::now());
    while server.log().seen.len() < requests {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "the job asks nothing"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the job ended by itself"
        );
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(Duration::from_micros(moment_us));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the complete lines of the journal have answers to; each once. The server answers with the prompt.
#[cfg(unix)]
fn answered(sandbox: &Sandbox) -> HashSet<String> {
    let journal = sandbox.read("runs/synth.rows/journal.jsonl");
    let complete = journal
        .rsplit_once('\n')
        .map_or("", |(complete, _)| complete);
    let lines = complete
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let answers: Vec<_> = lines.filter(|line| line["line"] == "answered").collect();
    let prompts: HashSet<_> = answers
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(prompts.len(), answers.len(), "an answer was paid for twice");
    prompts
}

#[cfg(unix)]
fn asked_since(server: &Server, before: usize) -> HashSet<String> {
    server.log().seen[before..]
        .iter()
        .map(Seen::prompt)
        .collect()
}

const RUBRIC: &str = "prompt = \"\"\"{{ prompt }} ({{ target }})\nA: {{ a }}\nB: {{ b }}\"\"\"\n[endpoint]\nmodel = \"judge\"\nmax_tokens = 30\nbudget_tokens = 100_000\n";

/// Prefers the answer that is the target, and the first one where that says nothing.
fn verdict(seen: &Seen) -> String {
    let prompt = seen.prompt();
    let after = |name: &str| {
        prompt
            .rsplit_once(name)
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap()
            .trim()
            .to_owned()
    };
    let target = prompt
        .rsplit_once('(')
        .unwrap()
        .1
        .split(')')
        .next()
        .unwrap()
        .trim()
        .to_owned();
    let right = [after("\nA:") == target, after("\nB:") == target];
    match right {
        [true, false] => "A it is: [[A]]",
        [false, true] => "B it is: [[B]]",
        [true, true] => "[[tie]]",
        [false, false] => "I like the first one. [[A]]",
    }
    .into()
}

#[test]
fn a_judge_compares_a_run_with_its_base() {
    let server = Server::start(|seen, _| Reply::Text(verdict(seen)));
    let sandbox = Sandbox::with_base();
    sandbox.succeeds(&["train", "adapter.toml", "--quiet", "export.gguf=[]"]);
    sandbox.write("judge.toml", RUBRIC);
    let url = format!("endpoint.base_url={}", server.base_url);
    let arguments = ["judge", "runs/adapter", "--rubric", "judge.toml", &url];
    let judged = sandbox.json(&[&arguments[..], &["--json", "--quiet"]].concat());
    let task = &judged["tasks"]["topic"];
    let count = |name: &str| task[name].as_u64().unwrap();
    assert_eq!((count("n"), count("invalid")), (3, 0));
    assert_eq!(count("win") + count("tie") + count("loss"), 3);
    assert_eq!(judged["items"].as_array().unwrap().len(), 3);
    let items: serde_json::Value =
        serde_json::from_str(&sandbox.read("runs/adapter/judge.json")).unwrap();
    assert_eq!(items, judged);
    // What the judge saw decides, recomputed from the answers that the run kept.
    let answers = |who: &str| -> Vec<(bool, String)> {
        let text = sandbox.read(&format!("runs/adapter/eval/{who}/topic/samples.jsonl"));
        let rows = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| (row["correct"] == true, row["output"].to_string()))
            .collect()
    };
    let outcome = |((tuned, _), (base, _)): (&(bool, String), &(bool, String))| {
        i64::from(*tuned) - i64::from(*base)
    };
    let wanted: Vec<_> = answers("tuned")
        .iter()
        .zip(&answers("base"))
        .map(outcome)
        .collect();
    let found: Vec<_> = judged["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["outcome"].as_i64().unwrap())
        .collect();
    assert_eq!(found, wanted);
    let asked = server.log().seen.len();
    let again = sandbox.run(&[&arguments[..], &["--quiet"]].concat());
    assert!(again.contains("wrote `runs/adapter/judge.json`"), "{again}");
    assert_eq!(
        server.log().seen.len(),
        asked,
        "an answer was paid for twice"
    );
    let error = sandbox.run(&["judge", "runs/adapter", "--rubric", "judge.toml"]);
    assert_shown!(error, @r"
    exit code: 2
    ----- stderr -----
    error: rubric `judge.toml` has 1 problem
      judge.toml:4:2 `endpoint.base_url` is no address; needs one such as `http://localhost:8000/v1`
    ");
    sandbox.replace("judge.toml", "B: {{ b }}", "");
    let error = sandbox.run(&arguments);
    assert_shown!(error, @r"
    exit code: 2
    ----- stderr -----
    error: the prompt of the rubric does not show `{{ b }}`
    ");
}
