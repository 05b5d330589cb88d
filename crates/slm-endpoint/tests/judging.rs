//! Judges that are fair, swayed by order, or say nothing; and a judge that filters a teacher's answers.

use std::sync::atomic::AtomicBool;

use serde_json::Value;
use slm_data::{HeldOut, Prompt};
use slm_endpoint::{Contest, EndpointError, Journal, Judgement, Terms, judge, teach};
use slm_recipe::{DistillMethod, DistillSection, EndpointSection, JudgeMode, Rubric};
use slm_testkit::{Reply, Seen, Server};

static GO: AtomicBool = AtomicBool::new(false);
const TERMS: Terms<'static> = Terms {
    seed: 3,
    offline: false,
    stop: &GO,
};

fn endpoint(server: &Server) -> EndpointSection {
    EndpointSection {
        base_url: server.base_url.clone(),
        model: "judge".into(),
        max_tokens: 20,
        requests_in_flight: 3,
        budget_tokens: 100_000,
        ..EndpointSection::default()
    }
}

fn contests() -> Vec<Contest> {
    let contest = |row, task: &str, tuned: &str, base: &str| Contest {
        task: task.into(),
        row,
        origin: format!("rows.jsonl:{row}"),
        prompt: format!("question {row}"),
        target: "x".into(),
        tuned: tuned.into(),
        base: base.into(),
    };
    vec![
        contest(1, "one", "good", "bad"),
        contest(2, "one", "bad", "good"),
        contest(3, "one", "good", "good"),
        contest(4, "two", "good", "bad"),
    ]
}

fn judged(mode: JudgeMode, prompt: &str, verdict: fn(&Seen) -> String) -> Judgement {
    let server = Server::start(move |seen, _| Reply::Text(verdict(seen)));
    let rubric = Rubric {
        mode,
        prompt: prompt.into(),
        scale: vec![0.0, 10.0],
        endpoint: endpoint(&server),
        ..Rubric::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    judge(&rubric, &contests(), TERMS, &mut journal, &mut |_| {}).unwrap()
}

const PAIR: &str = "{{ prompt }}\nA: {{ a }}\nB: {{ b }}";

fn counts(judgement: &Judgement, task: &str) -> [usize; 4] {
    let task = &judgement.tasks[task];
    [task.win, task.tie, task.loss, task.invalid]
}

#[test]
fn a_fair_judge_says_the_same_in_both_orders() {
    let judgement = judged(JudgeMode::Pairwise, PAIR, |seen| {
        match (
            seen.prompt().contains("A: good"),
            seen.prompt().contains("B: good"),
        ) {
            (true, false) => "[[A]]",
            (false, true) => "[[B]]",
            _ => "[[tie]]",
        }
        .into()
    });
    assert_eq!(counts(&judgement, "one"), [1, 1, 1, 0]);
    assert_eq!(counts(&judgement, "two"), [1, 0, 0, 0]);
    let one = &judgement.tasks["one"];
    assert_eq!((one.agreement, one.first_preferred), (Some(1.0), Some(0.5)));
    let outcomes: Vec<_> = judgement.items.iter().map(|it| it.outcome).collect();
    assert_eq!(outcomes, [Some(1), Some(-1), Some(0), Some(1)]);
    // Equal answers are one question, and not two.
    assert_eq!(
        (judgement.cost.asked, judgement.items[2].requests.len()),
        (7, 2)
    );
}

#[test]
fn a_judge_that_likes_the_first_answer_decides_nothing() {
    let judgement = judged(JudgeMode::Pairwise, PAIR, |_| "The first. [[A]]".into());
    assert_eq!(counts(&judgement, "one"), [0, 3, 0, 0]);
    let one = &judgement.tasks["one"];
    assert_eq!((one.agreement, one.first_preferred), (Some(0.0), Some(1.0)));
    assert_eq!((one.win_rate, one.p_value), (None, None));
}

#[test]
fn a_verdict_that_cannot_be_read_is_none() {
    let judgement = judged(JudgeMode::Pairwise, PAIR, |seen| {
        let is_second = seen.prompt().contains("question 2");
        if is_second { "Both are fine." } else { "[[A]]" }.into()
    });
    assert_eq!(counts(&judgement, "one"), [0, 2, 0, 1]);
    assert_eq!(judgement.items[1].orders, [None, None]);
}

#[test]
fn scores_are_compared() {
    let judgement = judged(JudgeMode::Score, "{{ prompt }}: {{ answer }}", |seen| {
        if seen.prompt().contains("good") {
            "[[8]]"
        } else {
            "[[3.5]]"
        }
        .into()
    });
    assert_eq!(counts(&judgement, "one"), [1, 1, 1, 0]);
    let means = judgement.tasks["one"].mean_scores.unwrap();
    assert_eq!(means, [Some(6.5), Some(6.5)]);
    assert_eq!(judgement.items[0].scores, [Some(8.0), Some(3.5)]);
    assert_eq!(judgement.tasks["one"].agreement, None);
}

#[test]
fn nothing_is_not_judged() {
    let server = Server::start(|_, _| Reply::Cut);
    let rubric = Rubric {
        endpoint: endpoint(&server),
        ..Rubric::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.jsonl")).unwrap();
    let error = judge(&rubric, &[], TERMS, &mut journal, &mut |_| {}).unwrap_err();
    assert!(matches!(error, EndpointError::NothingToJudge));
}

#[test]
fn a_judge_filters_what_the_other_filters_keep() {
    let teacher = Server::start(|seen, _| {
        Reply::Text(match seen.prompt().as_str() {
            "short" => String::new(),
            other => format!("an answer to {other}"),
        })
    });
    let scorer = Server::start(|seen, _| {
        Reply::Text(match seen.prompt().rsplit(' ').next().unwrap() {
            "first" => "[[9]]".into(),
            "second" => "[[4]]".into(),
            _ => "no idea".into(),
        })
    });
    let mut section = DistillSection {
        method: DistillMethod::Sequence,
        ..DistillSection::default()
    };
    section.teacher.endpoint = endpoint(&teacher);
    section.filters.min_score = 5.0;
    let rubric = Rubric {
        mode: JudgeMode::Score,
        prompt: "{{ prompt }} -> {{ answer }}".into(),
        scale: vec![0.0, 10.0],
        endpoint: endpoint(&scorer),
        ..Rubric::default()
    };
    let row = |(at, prompt): (usize, &str)| HeldOut {
        row: at,
        origin: format!("rows.jsonl:{at}"),
        prompt: Prompt::Text(prompt.into()),
        target: "\n x".into(),
        slices: [("kind".to_owned(), "k".to_owned())].into(),
    };
    let rows: Vec<_> = ["first", "second", "third", "short"]
        .into_iter()
        .enumerate()
        .map(row)
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let taught = teach(
        &section,
        &[],
        Some(&rubric),
        &rows,
        TERMS,
        folder.path(),
        &mut |_| {},
    )
    .unwrap();
    assert_eq!(
        (taught.answers, taught.rows, taught.prompts_without_row),
        (4, 1, 3)
    );
    let dropped: Vec<_> = taught.dropped.into_iter().collect();
    assert_eq!(dropped, [("empty", 1), ("no_score", 1), ("score", 1)]);
    assert_eq!(
        scorer.log().seen.len(),
        3,
        "what another filter dropped is not judged"
    );
    let text = fs_err::read_to_string(folder.path().join("rows.jsonl")).unwrap();
    let row: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&row["prompt"], &row["completion"], &row["kind"]),
        (
            &"first".into(),
            &"\n an answer to first".into(),
            &"k".into()
        )
    );
    assert_eq!(row["teacher"]["score"], 9.0);
    let dropped = fs_err::read_to_string(folder.path().join("dropped.jsonl")).unwrap();
    let reasons: Vec<_> = dropped
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["teacher"]["dropped_by"].clone())
        .collect();
    assert_eq!(reasons, ["score", "no_score", "empty"]);
}
