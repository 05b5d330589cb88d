use crate::sandbox::{Sandbox, assert_shown};

#[test]
fn check_prints_the_plan_and_writes_nothing() {
    let sandbox = Sandbox::with_base();
    let before = sandbox.tree();
    assert_shown!(sandbox.run(&["check", "adapter.toml"]), @r"
    exit code: 0
    ----- stdout -----
    run        runs/adapter (new)
    base       base (llama, 19,936 parameters)
    weights    79.7 KB
    memory     about 402 KB while training: 17.4 KB for what is trained, 167 KB for 104 tokens at a time
    device     cpu
    rows       9 to learn from, 3 held out, 0 left out
    tokens     206, of which 18 are learned
    steps      2 of 4 rows, 0.7 epochs
    tasks      topic (3 rows)
    artifacts  adapter, merged model, GGUF Q8_0
    ");
    assert_eq!(sandbox.tree(), before);
    let plan = sandbox.json(&[
        "check",
        "adapter.toml",
        "train.max_steps=0",
        "train.num_train_epochs=2",
        "--json",
    ]);
    // Nine rows in batches of four are three steps an epoch.
    assert_eq!(plan["plan"]["steps"], 6);
    assert_eq!(plan["plan"]["held_out_rows"], 3);
}

#[test]
fn data_show_marks_what_is_learned() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", "--row", "1"]), @r"
    exit code: 0
    ----- stdout -----
    row 1: 21 tokens, 2 learned

    Message|:| I| w|a|nt| m|y| m|o|ne|y| b|ac|k|.|\n
    Topic|:[ refund][<|im_end|>]

    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    ");
    let rows = sandbox.json(&[
        "data",
        "show",
        "adapter.toml",
        "--split",
        "validation",
        "--count",
        "9",
        "--json",
    ]);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let tokens = rows[0]["tokens"].as_array().unwrap();
    let learned = tokens.iter().filter(|token| token["learned"] == true);
    let learned: String = learned
        .map(|token| token["text"].as_str().unwrap())
        .collect();
    assert_eq!(learned, " delivery<|im_end|>");
}

#[test]
fn data_show_of_a_conversation_learns_the_answers() {
    let sandbox = Sandbox::with_base();
    let row = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}"#;
    sandbox.write("rows.jsonl", format!("{row}\n"));
    let rows = r#"data.train=[{path = "rows.jsonl"}]"#;
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", rows, "data.val_every=0", "data.val_size=0.0", "eval.task=[]"]), @r"
    exit code: 0
    ----- stdout -----
    row 0: 23 tokens, 4 learned

    <|im_start|>|u|s|er|\n
    H|i|<|im_end|>|\n
    <|im_start|>|as|s|i|s|t|a|nt|\n
    [Y][es][?][<|im_end|>]\n


    mask         tokens  learned  held out  learned
    template         17        0         0        0
    user              2        0         0        0
    assistant         3        3         0        0
    end of turn       1        1         0        0
    of 1 sequences, 1 learn something, 1 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    ");
}

#[test]
fn data_show_and_stats_tell_both_answers() {
    let sandbox = Sandbox::with_base();
    let row = r#"{"prompt": "Who?", "chosen": " me", "rejected": " you"}"#;
    sandbox.write("rows.jsonl", format!("{row}\n").repeat(3));
    let rows = r#"data.train=[{path = "rows.jsonl"}]"#;
    let arguments = [
        "adapter.toml",
        rows,
        "data.val_every=0",
        "data.val_size=0",
        "eval.task=[]",
    ];
    let shown = sandbox.run(&[&["data", "show"], &arguments[..], &["--count", "1"]].concat());
    assert_shown!(shown, @r"
    exit code: 0
    ----- stdout -----
    row 0, chosen: 7 tokens, 3 learned

    W|h|o|?[ m][e][<|im_end|>]

    row 0, rejected: 8 tokens, 4 learned

    W|h|o|?[ ][y][ou][<|im_end|>]

    mask         tokens  learned  held out  learned
    prompt           24        0         0        0
    completion       15       15         0        0
    end of turn       6        6         0        0
    of 6 sequences, 6 learn something, 6 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out
    ");
    let shown = sandbox.run(&[&["data", "stats"], &arguments[..]].concat());
    assert!(
        shown.contains("train, chosen") && shown.contains("train, rejected"),
        "{shown}"
    );
    let shown = sandbox.run(&[&["train"], &arguments[..]].concat());
    assert!(shown.starts_with("exit code: 2"), "{shown}");
    assert!(
        shown.contains("the rows have a chosen and a rejected answer each"),
        "{shown}"
    );
}

#[test]
fn a_row_that_is_not_there_is_refused() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "show", "adapter.toml", "--row", "99"]), @r"
    exit code: 2
    ----- stderr -----
    error: row 99 is not among the 12 rows of the recipe, or was left out

    hint: rows are counted from 0, in the order of the files; `slm-tune data stats` counts what was left out
    ");
}

#[test]
fn data_stats_counts_rows_tokens_and_answers() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "stats", "adapter.toml"]), @r"
    exit code: 0
    ----- stdout -----
    file        rows   size  read as
    rows.jsonl    12  664 B  prompt_completion

    split     rows  left out  cut  tokens  learned
    train        9         0    0     206       18
    held out     3         0    0      78        6

    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out

    tokens per row  min  mean  median  90 %  95 %  99 %  max
    train            20  22.9      23    26    26    26   26
    held out         24  26.0      26    28    28    28   28

    tokens  rows
     20-20     1  ####################
     21-21     1  ####################
     22-22     2  ########################################
     23-23     2  ########################################
     24-24     1  ####################
     25-25     1  ####################
     26-26     1  ####################

    2 different answers
    answer    rows
    refund       6  ########################################
    delivery     3  ####################
    ");
    let stats = sandbox.json(&["data", "stats", "adapter.toml", "--json"]);
    assert_eq!(stats["stats"]["distinct_targets"], 2);
}

#[test]
fn data_stats_tells_the_weights_of_files() {
    let sandbox = Sandbox::with_base();
    let source = |weight| {
        format!(
            "{{path = \"rows.jsonl\", prompt = \"{{text}}\", completion = \" {{topic}}\", weight = {weight}}}"
        )
    };
    let rows = format!("data.train=[{}, {}]", source("0.5"), source("2"));
    let shown = sandbox.run(&["data", "stats", "adapter.toml", &rows]);
    let head = shown.lines().take(5).collect::<Vec<_>>().join("\n");
    assert_shown!(head, @r"
    exit code: 0
    ----- stdout -----
    file        rows   size  read as            weight  rows an epoch
    rows.jsonl    12  664 B  prompt_completion     0.5              5
    rows.jsonl    12  664 B  prompt_completion       2             18
    ");
    let stats = sandbox.json(&["data", "stats", "adapter.toml", &rows, "--json"]);
    assert_eq!(stats["shares"][0]["rows"], 9);
}

#[test]
fn data_prepare_writes_shards_that_train_takes_up() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["data", "prepare", "adapter.toml"]), @r"
    exit code: 0
    ----- stdout -----
    file        rows   size  read as
    rows.jsonl    12  664 B  prompt_completion

    split     rows  left out  cut  tokens  learned
    train        9         0    0     206       18
    held out     3         0    0      78        6

    mask         tokens  learned  held out  learned
    prompt          188        0        72        0
    completion        9        9         3        3
    end of turn       9        9         3        3
    of 12 sequences, 12 learn something, 12 learn where the answer ends, 0 begin with BOS (the tokenizer adds none); 0 cut, 0 left out

    wrote `runs/adapter/data` and `runs/adapter/data.html`
    ----- stderr -----
    data: started
    data: done in [time]
    ");
    let shown = sandbox.run(&["train", "adapter.toml"]);
    assert!(
        shown.contains("data: skipped, its inputs did not change"),
        "{shown}"
    );
}
