//! Requests to a real server on this machine that fails in every way a server can.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use slm_data::Prompt;
use slm_endpoint::{Answered, Asker, EndpointError, Journal, Request, Terms};
use slm_recipe::{Api, EndpointSection};
use slm_testkit::{Reply, Seen, Server};

static GO: AtomicBool = AtomicBool::new(false);

fn endpoint(server: &Server) -> EndpointSection {
    EndpointSection {
        base_url: server.base_url.clone(),
        model: "teacher".into(),
        max_tokens: 20,
        timeout_s: 30.0,
        backoff_s: 0.002,
        max_retries: 20,
        requests_in_flight: 6,
        ..EndpointSection::default()
    }
}

fn requests(endpoint: &EndpointSection, n: usize) -> Vec<Request> {
    let prompt = |i| Prompt::Text(format!("question {i}"));
    let samples = 0..endpoint.samples;
    let of = |i| {
        samples
            .clone()
            .map(move |sample| Request::new(endpoint, &prompt(i), 7, sample).unwrap())
    };
    (0..n).flat_map(of).collect()
}

fn ask_in(
    folder: &Path,
    endpoint: &EndpointSection,
    requests: &[Request],
) -> Result<Answered, EndpointError> {
    let terms = Terms {
        seed: 7,
        offline: false,
        stop: &GO,
    };
    let asker = Asker {
        endpoint,
        terms,
        stage: "teacher",
    };
    let mut journal = Journal::open(&folder.join("journal.jsonl"))?;
    asker.ask(requests, &mut journal, &mut |_| {})
}

fn ask(endpoint: &EndpointSection, n: usize) -> Result<Answered, EndpointError> {
    ask_in(
        tempfile::tempdir().unwrap().path(),
        endpoint,
        &requests(endpoint, n),
    )
}

/// The error, with the server's address as `URL`.
fn refused(server: &Server, endpoint: &EndpointSection, n: usize) -> String {
    let error = ask(endpoint, n).unwrap_err().to_string();
    error.replace(&server.base_url, "URL")
}

fn echo(seen: &Seen) -> String {
    seen.prompt().replace("question", "answer")
}

/// One of these for each request, another one each time that it comes again.
fn chaos(seen: &Seen, turn: usize) -> Reply {
    let number: usize = seen.prompt().rsplit(' ').next().unwrap().parse().unwrap();
    match (number * 7 + turn * 5) % 12 {
        0 => Reply::Status(429, "retry-after: 0.03\r\n", "slow down".into()),
        1 => Reply::Status(500, "", "oops".into()),
        2 => Reply::Status(503, "", String::new()),
        3 => Reply::Malformed,
        4 => Reply::Cut,
        5 => Reply::CutInside,
        6 => Reply::Slow(Duration::from_millis(20)),
        7 => Reply::Late(Duration::from_millis(15), echo(seen)),
        8 => Reply::Status(200, "", r#"{"error": {"message": "overloaded"}}"#.into()),
        _ => Reply::Text(echo(seen)),
    }
}

#[test]
fn every_prompt_is_answered_once_whatever_the_server_does() {
    let server = Server::start(chaos);
    let endpoint = EndpointSection {
        timeout_s: 1.0,
        ..endpoint(&server)
    };
    let (folder, requests) = (tempfile::tempdir().unwrap(), requests(&endpoint, 72));
    let answered = ask_in(folder.path(), &endpoint, &requests).unwrap();
    let texts: Vec<_> = answered.answers.iter().map(|it| it.text.clone()).collect();
    let wanted: Vec<_> = (0..72).map(|i| format!("answer {i}")).collect();
    assert_eq!(texts, wanted);
    let log = server.log();
    // On a busy machine a request may end before the server has seen it.
    assert!(answered.cost.retries >= log.seen.len() - 72);
    assert!(
        answered.cost.retries > 40,
        "the server failed too rarely: {}",
        answered.cost.retries
    );
    assert!(
        answered.cost.tokens.total() >= log.tokens,
        "counted {}, charged {}",
        answered.cost.tokens.total(),
        log.tokens
    );
    let again = ask_in(folder.path(), &endpoint, &requests).unwrap();
    assert_eq!(again.answers, answered.answers);
    assert_eq!((again.cost.asked, again.cost.from_journal), (0, 72));
    assert_eq!(
        server.log().seen.len(),
        log.seen.len(),
        "something was asked again"
    );
}

#[test]
fn the_budget_holds_on_the_servers_side() {
    for (budget_tokens, script) in [
        (2_000, chaos as fn(&Seen, usize) -> Reply),
        (1_500, |seen, _| Reply::Text(echo(seen))),
    ] {
        let server = Server::start(script);
        let endpoint = EndpointSection {
            budget_tokens,
            timeout_s: 1.0,
            ..endpoint(&server)
        };
        let folder = tempfile::tempdir().unwrap();
        let requests = requests(&endpoint, 150);
        // Another run does not get another budget.
        for _ in 0..3 {
            let error = ask_in(folder.path(), &endpoint, &requests).unwrap_err();
            assert!(
                matches!(error, EndpointError::BudgetReached { total: 150, .. }),
                "{error}"
            );
        }
        let charged = server.log().tokens;
        assert!(charged <= budget_tokens, "{charged} of {budget_tokens}");
        let richer = EndpointSection {
            budget_tokens: 10_000_000,
            ..endpoint
        };
        let answered = ask_in(folder.path(), &richer, &requests).unwrap();
        assert_eq!(answered.answers.len(), 150);
        assert!(answered.cost.from_journal > 0);
    }
}

#[test]
fn a_budget_is_used_up_to_its_last_request() {
    let server = Server::start(|seen, _| Reply::Text(echo(seen)));
    // An answer costs 13 tokens, and may cost 256 + 16 + 20 and the bytes of its message.
    let endpoint = EndpointSection {
        budget_tokens: 3_000,
        ..endpoint(&server)
    };
    let error = ask(&endpoint, 400).unwrap_err();
    let EndpointError::BudgetReached {
        answered, spent, ..
    } = error
    else {
        panic!("{error}")
    };
    assert!(
        answered * 13 > 3_000 - 360,
        "{answered} answers for {spent}"
    );
    assert_eq!(spent, (answered * 13).to_string());
    let money = EndpointSection {
        budget_tokens: 0,
        budget_usd: 0.003,
        usd_per_million_prompt_tokens: 1.0,
        usd_per_million_completion_tokens: 1.0,
        ..endpoint
    };
    let shown = refused(&server, &money, 400);
    assert!(
        shown.starts_with(
            "the budget of $0.003 does not allow another request, which may cost $0.0003: $0.00"
        ),
        "{shown}"
    );
}

#[test]
fn retry_after_is_kept_to_by_all() {
    let server = Server::start(|seen, turn| match (seen.prompt().as_str(), turn) {
        ("question 0", 0) => Reply::Status(429, "retry-after: 1\r\n", String::new()),
        _ => Reply::Late(Duration::from_millis(30), echo(seen)),
    });
    let endpoint = EndpointSection {
        requests_in_flight: 2,
        ..endpoint(&server)
    };
    ask(&endpoint, 8).unwrap();
    let log = server.log();
    let turned_away = log
        .seen
        .iter()
        .find(|it| it.prompt() == "question 0")
        .unwrap()
        .at;
    let soon = log
        .seen
        .iter()
        .filter(|it| it.at > turned_away + Duration::from_millis(500));
    let first = soon.map(|it| it.at - turned_away).min().unwrap();
    assert!(
        first >= Duration::from_secs(1),
        "asked again after {first:?}"
    );
}

#[test]
fn what_will_not_pass_is_not_tried_again() {
    let denied = Server::start(|_, _| {
        Reply::Status(
            401,
            "",
            r#"{"error": {"message": "Incorrect API key"}}"#.into(),
        )
    });
    let alone = |server: &Server| EndpointSection {
        requests_in_flight: 1,
        ..endpoint(server)
    };
    assert_eq!(
        refused(&denied, &alone(&denied), 5),
        "`URL/chat/completions` refuses with status 401: Incorrect API key"
    );
    assert_eq!(denied.log().seen.len(), 1);
    let other = Server::start(|_, _| Reply::As("teacher-2", "a".into()));
    assert_eq!(
        refused(&other, &alone(&other), 5),
        "`URL` answers as model `teacher-2`, asked was `teacher`"
    );
    assert_eq!(other.log().seen.len(), 1);
    let moved = Server::start(|_, _| {
        Reply::Status(307, "location: http://example.com/\r\n", String::new())
    });
    assert_eq!(
        refused(&moved, &alone(&moved), 5),
        "`URL/chat/completions` refuses with status 307: nothing"
    );
}

#[test]
fn retries_end() {
    let down = Server::start(|_, _| Reply::Status(500, "", String::new()));
    let endpoint = EndpointSection {
        max_retries: 3,
        requests_in_flight: 1,
        ..endpoint(&down)
    };
    assert_eq!(
        refused(&down, &endpoint, 2),
        "`URL` gave no answer in 4 attempts; the last one: status 500"
    );
    assert_eq!(down.log().seen.len(), 4);
    let nowhere = EndpointSection {
        base_url: "http://127.0.0.1:9/v1".into(),
        ..endpoint
    };
    let folder = tempfile::tempdir().unwrap();
    let error = ask_in(folder.path(), &nowhere, &requests(&nowhere, 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`http://127.0.0.1:9/v1` gave no answer in 4 attempts; the last one: connection refused"
    );
    let journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    assert_eq!(
        journal.spent().total(),
        0,
        "what was never sent costs nothing"
    );
}

#[test]
fn a_slow_stream_is_cut_off_in_time() {
    let server = Server::start(|_, _| Reply::Slow(Duration::from_millis(30)));
    let endpoint = EndpointSection {
        max_retries: 1,
        timeout_s: 0.3,
        ..endpoint(&server)
    };
    let started = std::time::Instant::now();
    assert_eq!(
        refused(&server, &endpoint, 1),
        "`URL` gave no answer in 2 attempts; the last one: it took longer than `timeout_s`"
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn equal_prompts_are_asked_once_and_samples_each() {
    let server = Server::start(|seen, _| Reply::Text(format!("seed {}", seen.body["seed"])));
    let endpoint = EndpointSection {
        temperature: 1.0,
        samples: 3,
        ..endpoint(&server)
    };
    let once = requests(&endpoint, 2);
    let twice = [&once[..], &once[..]].concat();
    let answered = ask_in(tempfile::tempdir().unwrap().path(), &endpoint, &twice).unwrap();
    assert_eq!(server.log().seen.len(), 6);
    let texts: Vec<_> = answered.answers.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["seed 7", "seed 8", "seed 9"].repeat(4));
}

#[test]
fn log_probabilities_are_kept_and_the_key_is_sent() {
    let server = Server::start(|seen, _| Reply::Text(echo(seen)));
    let endpoint = EndpointSection {
        top_logprobs: 2,
        // A variable that every test process has, with a value that is no secret.
        api_key_env: Some("CARGO_PKG_NAME".into()),
        api: Api::Completions,
        ..endpoint(&server)
    };
    let folder = tempfile::tempdir().unwrap();
    ask_in(folder.path(), &endpoint, &requests(&endpoint, 1)).unwrap();
    let seen = &server.log().seen[0];
    assert_eq!(
        (seen.path.as_str(), seen.authorization.as_deref()),
        ("/v1/completions", Some("Bearer slm-endpoint"))
    );
    assert_eq!(seen.body["logprobs"], 2);
    let text = fs_err::read_to_string(folder.path().join("journal.jsonl")).unwrap();
    assert!(
        text.contains(
            r#""top_logprobs":[{"token":"answer","logprob":-0.1},{"token":"?","logprob":-2.5}]"#
        ),
        "{text}"
    );
    assert!(
        !text.contains("slm-endpoint"),
        "a key has no place in a journal"
    );
    let keyless = EndpointSection {
        api_key_env: Some("SLM_TUNE_NO_SUCH_KEY".into()),
        ..endpoint
    };
    assert_eq!(
        refused(&server, &keyless, 1),
        "the environment variable `SLM_TUNE_NO_SUCH_KEY` is not set, and `URL` needs the key that it holds"
    );
}

#[test]
fn offline_asks_nothing_and_a_stop_keeps_what_came() {
    let server = Server::start(|seen, _| Reply::Late(Duration::from_millis(100), echo(seen)));
    let endpoint = endpoint(&server);
    let (folder, requests) = (tempfile::tempdir().unwrap(), requests(&endpoint, 40));
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let stop = AtomicBool::new(false);
    let mut answer = |offline, stop_at: u64| {
        let terms = Terms {
            seed: 7,
            offline,
            stop: &stop,
        };
        let asker = Asker {
            endpoint: &endpoint,
            terms,
            stage: "teacher",
        };
        asker.ask(&requests, &mut journal, &mut |event| {
            if let slm_run::Event::Progress { done, .. } = event {
                stop.store(done >= stop_at, std::sync::atomic::Ordering::SeqCst);
            }
        })
    };
    let stopped = answer(false, 10).unwrap_err();
    let EndpointError::Stopped {
        answered,
        total: 40,
    } = stopped
    else {
        panic!("{stopped}")
    };
    assert!((10..40).contains(&answered), "{answered}");
    let offline = answer(true, 100).unwrap_err().to_string();
    let missing = 40 - answered;
    assert_eq!(
        offline,
        format!(
            "`{}` is not asked: {missing} of 40 answers are not in the journal, and this is offline",
            server.base_url
        )
    );
    stop.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(answer(false, 100).unwrap().cost.from_journal, answered);
    let log = server.log();
    assert_eq!(log.seen.len(), 40);
    assert!(
        (2..=6).contains(&log.most_in_flight),
        "{} at a time",
        log.most_in_flight
    );
    assert_eq!(answer(true, 100).unwrap().answers.len(), 40);
}
