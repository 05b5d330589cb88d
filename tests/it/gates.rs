use crate::sandbox::{Sandbox, assert_shown};

/// A folder of an evaluation as `eval` writes it: `n` items of which the first `right` are right.
fn evaluation(sandbox: &Sandbox, folder: &str, n: usize, right: usize) {
    let line = |row: usize| {
        let output = if row < right { "a" } else { "b" };
        let correct = row < right;
        format!(
            "{{\"row\":{row},\"origin\":\"rows.jsonl:{row}\",\"prompt\":\"Message {row}\",\"target\":\"a\",\"output\":\"{output}\",\
             \"prompt_tokens\":3,\"output_tokens\":1,\"scored_by\":\"choices\",\"correct\":{correct},\"output_norm\":\"a\",\
             \"correct_norm\":true,\"logprobs\":[-1.0,-2.0],\"choice_tokens\":[1,1]}}\n"
        )
    };
    let share = right as f64 / n as f64;
    let scores = format!(
        "{{\"task\":\"intent\",\"output_type\":\"multiple_choice\",\"n\":{n},\"choices\":[\"a\",\"b\"],\"metrics\":[\
         {{\"name\":\"accuracy\",\"value\":{share},\"low\":0.0,\"high\":1.0,\"method\":\"wilson\",\"n\":{n}}}],\"elapsed_s\":1.0}}"
    );
    sandbox.write(&format!("{folder}/intent/scores.json"), scores);
    let lines: String = (0..n).map(line).collect();
    sandbox.write(&format!("{folder}/intent/samples.jsonl"), lines);
}

const GATES: &str = "[gate]\nbaseline = \"old.json\"\n[[gate.check]]\ntask = \"intent\"\nmetric = \"accuracy\"\n\
    min = 0.6\nnon_inferior_to = \"baseline\"\nmargin = 0.02\n";

/// Evaluations of 400 and 40 items, and baselines of the same.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    evaluation(&sandbox, "large", 400, 360);
    evaluation(&sandbox, "small", 40, 36);
    sandbox.write("gates.toml", GATES);
    sandbox.succeeds(&["baseline", "save", "large", "old.json"]);
    sandbox.succeeds(&["baseline", "save", "small", "small.json"]);
    sandbox
}

fn gate(sandbox: &Sandbox, folder: &str, more: &[&str]) -> String {
    sandbox.run(&[&["gate", folder, "--gates", "gates.toml"], more].concat())
}

#[test]
fn a_small_test_set_is_inconclusive_and_fails() {
    let sandbox = sandbox();
    assert_shown!(gate(&sandbox, "large", &[]), @r###"
    exit code: 0
    ----- stdout -----
    gate                                               figure  interval            p  items  could show  would decide  verdict
    intent: accuracy above 60.0 %                      90.0 %  [87.2, 92.4]  <0.0001    400    > 66.1 %             -  PASS
    intent: accuracy not 2 points worse than baseline    +0.0  [-0.7, +0.7]   0.0022    400      > -0.6             -  PASS

    PASS
    "###);
    assert_shown!(gate(&sandbox, "small", &["--baseline", "small.json"]), @r###"
    exit code: 4
    ----- stdout -----
    gate                                               figure  interval            p  items  could show  would decide  verdict
    intent: accuracy above 60.0 %                      90.0 %  [78.6, 96.5]  <0.0001     40    > 79.1 %             -  PASS
    intent: accuracy not 2 points worse than baseline    +0.0  [-6.3, +6.3]   0.4457     40     > +10.4     470 items  INCONCLUSIVE

    intent: accuracy not 2 points worse than baseline
      not shown, and not its opposite: +0.0 (p 0.4457, 40 items, 90 % interval [-6.3, +6.3]); so many items show > +10.4 with power 0.8; about 470 would decide, were the truth what was measured

    INCONCLUSIVE
    ----- stderr -----
    error: 1 of 2 gates could not decide

    hint: measure more items, or state a wider margin; `gate.on_inconclusive = "pass"` lets it through
    "###);
    sandbox.replace("gates.toml", "[gate]", "[gate]\non_inconclusive = \"pass\"");
    let shown = gate(&sandbox, "small", &["--baseline", "small.json"]);
    assert!(shown.starts_with("exit code: 0"), "{shown}");
    let passes = "\nINCONCLUSIVE, which counts as passed: `on_inconclusive = \"pass\"`\n";
    assert!(shown.ends_with(passes), "{shown}");
}

#[test]
fn what_is_worse_fails() {
    let sandbox = sandbox();
    evaluation(&sandbox, "worse", 400, 200);
    assert_shown!(gate(&sandbox, "worse", &[]), @r###"
    exit code: 3
    ----- stdout -----
    gate                                               figure  interval              p  items  could show  would decide  verdict
    intent: accuracy above 60.0 %                      50.0 %  [45.8, 54.2]    <0.0001    400    > 66.1 %             -  FAIL
    intent: accuracy not 2 points worse than baseline   -40.0  [-44.1, -36.1]  <0.0001    400      > +5.9             -  FAIL

    intent: accuracy above 60.0 %
      the opposite is shown: 50.0 % (p <0.0001, 400 items, 90 % interval [45.8, 54.2])

    intent: accuracy not 2 points worse than baseline
      the opposite is shown: -40.0 (p <0.0001, 400 items, 90 % interval [-44.1, -36.1])

    FAIL
    ----- stderr -----
    error: 2 of 2 gates failed
    "###);
}

#[test]
fn every_output_tells_the_same_verdict() {
    let sandbox = sandbox();
    evaluation(&sandbox, "worse", 400, 300);
    let outputs = [
        "--junit",
        "gate.xml",
        "--markdown",
        "gate.md",
        "--annotations",
    ];
    assert_shown!(gate(&sandbox, "worse", &outputs), @r###"
    exit code: 3
    ----- stdout -----
    gate                                               figure  interval              p  items  could show  would decide  verdict
    intent: accuracy above 60.0 %                      75.0 %  [71.2, 78.5]    <0.0001    400    > 66.1 %             -  PASS
    intent: accuracy not 2 points worse than baseline   -15.0  [-18.2, -12.3]  <0.0001    400      > +2.8             -  FAIL

    intent: accuracy not 2 points worse than baseline
      the opposite is shown: -15.0 (p <0.0001, 400 items, 90 % interval [-18.2, -12.3])

    FAIL
    ::error title=FAIL intent%3A accuracy not 2 points worse than baseline::the opposite is shown: -15.0 (p <0.0001, 400 items, 90 %25 interval [-18.2, -12.3])
    ----- stderr -----
    error: 1 of 2 gates failed
    "###);
    assert_shown!(sandbox.read("gate.xml"), @r###"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="slm-tune gate worse" tests="2" failures="1" errors="0" skipped="0">
      <testsuite name="intent" tests="2" failures="1" errors="0" skipped="0">
        <testcase name="intent: accuracy above 60.0 %" classname="slm-tune.gate.intent" time="0">
          <system-out>shown: 75.0 % (p &lt;0.0001, 400 items, 90 % interval [71.2, 78.5])</system-out>
        </testcase>
        <testcase name="intent: accuracy not 2 points worse than baseline" classname="slm-tune.gate.intent" time="0">
          <failure message="the opposite is shown: -15.0 (p &lt;0.0001, 400 items, 90 % interval [-18.2, -12.3])" type="FAIL"/>
        </testcase>
      </testsuite>
    </testsuites>
    "###);
    assert_shown!(sandbox.read("gate.md"), @r###"
    ### Gates of `worse`: FAIL

    | | gate | figure | interval | p | items | could show | would decide |
    |---|---|--:|---|--:|--:|--:|--:|
    | PASS | intent: accuracy above 60.0 % | 75.0 % | [71.2, 78.5] | &lt;0.0001 | 400 | > 66.1 % | - |
    | FAIL | intent: accuracy not 2 points worse than baseline | -15.0 | [-18.2, -12.3] | &lt;0.0001 | 400 | > +2.8 | - |

    - **FAIL** intent: accuracy not 2 points worse than baseline: the opposite is shown: -15.0 (p &lt;0.0001, 400 items, 90 % interval [-18.2, -12.3])

    Baseline: `old.json`.
    "###);
    let json = gate(&sandbox, "worse", &["--json"]);
    assert!(json.starts_with("exit code: 3"), "{json}");
    assert!(json.contains("\"verdict\": \"fail\""), "{json}");
    let report = sandbox.json(&["gate", "large", "--gates", "gates.toml", "--json"]);
    assert_eq!(report["verdict"], "pass");
    assert_eq!(report["gates"][0]["claim"]["kind"], "min");
    assert_eq!(report["gates"][0]["n"], 400);
}

#[track_caller]
fn assert_refused(shown: &str, code: u8, reason: &str) {
    assert!(
        shown.starts_with(&format!("exit code: {code}\n")),
        "{shown}"
    );
    assert!(shown.contains(reason), "{reason}\n{shown}");
}

#[test]
fn what_cannot_be_looked_at_fails_and_never_passes() {
    let sandbox = sandbox();
    let no_baseline = gate(&sandbox, "large", &["--baseline", "none.json"]);
    assert_refused(&no_baseline, 3, "no baseline: `none.json` does not exist");
    assert_refused(
        &gate(&sandbox, "small", &[]),
        3,
        "has 40 items, the baseline 400: its rows have changed",
    );
    sandbox.write("empty/readme", "");
    assert_refused(
        &gate(&sandbox, "empty", &[]),
        3,
        "`empty` holds no evaluated task",
    );
    sandbox.replace("large/intent/samples.jsonl", "Message 7\"", "Massage 7\"");
    assert_refused(
        &gate(&sandbox, "large", &[]),
        3,
        "have changed since the baseline",
    );
    sandbox.replace("large/intent/scores.json", "\"n\":400", "\"n\":401");
    assert_refused(
        &gate(&sandbox, "large", &[]),
        3,
        "has 400 samples, `scores.json` says 401",
    );
    sandbox.write("old.json", "{}");
    assert_refused(
        &gate(&sandbox, "small", &[]),
        3,
        "has format version 0, this version reads 1",
    );
}

#[test]
fn gates_that_are_wrong_are_told_with_their_place() {
    let sandbox = sandbox();
    assert_refused(
        &sandbox.run(&["gate", "large"]),
        2,
        "`large` is no run, so it has no gates",
    );
    assert_refused(
        &sandbox.run(&["gate", "nowhere"]),
        2,
        "`nowhere` does not exist",
    );
    assert_refused(
        &gate(&sandbox, "nowhere", &[]),
        2,
        "`nowhere` does not exist",
    );
    let overridden = gate(&sandbox, "large", &["gate.check.0.margin=0.1"]);
    assert_refused(&overridden, 2, "changes a recipe, and `large` has none");
    sandbox.replace("gates.toml", "\"accuracy\"", "\"acuracy\"");
    let unknown = gate(&sandbox, "large", &[]);
    assert_refused(
        &unknown,
        2,
        "gates.toml:5:1 `gate.check.0.metric` is `acuracy`, needs one of `accuracy`; did you mean `accuracy`?",
    );
}

#[test]
fn train_ends_with_its_gates() {
    let sandbox = Sandbox::with_base();
    assert_refused(
        &sandbox.run(&["gate", "adapter.toml"]),
        2,
        "there is no `[[gate.check]]`",
    );
    let check = "\n[[gate.check]]\ntask = \"topic\"\nmetric = \"accuracy\"\n";
    let recipe = sandbox.read("adapter.toml");
    sandbox.write("adapter.toml", format!("{recipe}{check}min = 0.9\n"));
    assert_refused(
        &sandbox.run(&["gate", "adapter.toml"]),
        3,
        "`runs/adapter` does not exist",
    );
    let trained = sandbox.run(&["train", "adapter.toml", "--quiet"]);
    assert_refused(&trained, 3, "error: 1 of 1 gates failed");
    assert!(
        trained.contains("topic: accuracy above 90.0 %"),
        "{trained}"
    );
    // Three rows cannot show much; what the gates ask may change, and nothing is trained again.
    sandbox.replace("adapter.toml", "min = 0.9", "min = 0.2");
    let again = sandbox.run(&["train", "adapter.toml"]);
    assert_refused(&again, 4, "train: skipped, its inputs did not change");
    assert_refused(
        &sandbox.run(&["gate", "runs/adapter"]),
        4,
        "error: 1 of 1 gates could not decide",
    );
    assert_refused(
        &sandbox.run(&["gate", "runs/adapter", "lora.r=3"]),
        2,
        "`lora.r=3` would make another run",
    );
    let eased = ["gate", "runs/adapter", "gate.on_inconclusive=pass"];
    assert_refused(&sandbox.run(&eased), 0, "which counts as passed");
    sandbox.replace(
        "runs/adapter/eval/tuned/topic/samples.jsonl",
        "\"correct\":false",
        "\"correct\":true",
    );
    let touched = sandbox.run(&["gate", "runs/adapter"]);
    assert_refused(
        &touched,
        3,
        "`eval` of the run in `runs/adapter` has changed since it was measured",
    );
    let saved = sandbox.run(&["baseline", "save", "runs/adapter", "b.json"]);
    assert_refused(&saved, 2, "has changed since it was measured");
}
