use crate::sandbox::{Sandbox, assert_shown};

#[test]
fn help_names_every_verb_and_exit_code() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["--help"]), @r"
    exit code: 0
    ----- stdout -----
    Turn a small open language model and your own rows into a specialist that is measured and ready to ship

    Usage: slm-tune [OPTIONS] <COMMAND>

    Commands:
      init         Write a starter recipe and a few example rows
      doctor       Show versions, backends, cores, memory and disk
      check        Validate a recipe, its data and its model without training
      schema       Print the JSON Schema of recipes
      data         Prepare rows and look at them as the model sees them
      bench        Measure how fast a recipe trains on this machine, and where the time goes
      train        Run a recipe from raw rows to exported files and a report
      distill      Run a recipe whose student learns from a teacher
      teach        Ask the teacher of a recipe once, and keep what it says for every student
      synth        Have the served teacher of a recipe answer its training prompts, and write the answers as rows
      resume       Continue an interrupted run
      eval         Measure a run, a GGUF file, or the base model of a recipe on the recipe's tasks, or any model on suites
      gate         Decide from the evaluation of a run whether it is good enough: pass, fail, or too few items to tell
      baseline     Keep what a run did on every item, for later runs to be compared with
      judge        Have a served model compare the answers of a run with those of its base
      export       Write the artifacts of a run again
      quantize     Turn a GGUF file of floats into one of blocks
      verify       Check an exported file against its certificate and the run that it came from
      chat         Talk to a run, a GGUF file, or a model in a folder
      generate     Answer one prompt, from an argument or from stdin
      logits       Print what a model says of given tokens, and write its logits
      runs         List and show runs
      recipes      List and copy the recipes that come with slm-tune
      completions  Print a completion script

    Options:
      -q, --quiet    Print results and errors only
          --offline  Never use the network
      -h, --help     Print help
      -V, --version  Print version

    Exit codes:
      0    done
      1    a stage failed
      2    fix the arguments, the recipe or the data
      3    a gate failed
      4    a gate could not decide
      5    will not fit
      6    an artifact does not match what was trained
      130  interrupted after a checkpoint was written
    ");
}

#[test]
fn an_unknown_verb_is_refused_with_the_nearest() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["trian", "recipe.toml"]), @r"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'trian'

      tip: a similar subcommand exists: 'train'

    Usage: slm-tune [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_missing_argument_is_named() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["train"]), @r"
    exit code: 2
    ----- stderr -----
    error: the following required arguments were not provided:
      <RECIPE>

    Usage: slm-tune train <RECIPE> [KEY=VALUE]...

    For more information, try '--help'.
    ");
}

#[test]
fn init_writes_a_recipe_that_trains() {
    let sandbox = Sandbox::with_base();
    assert_shown!(sandbox.run(&["init", "topics", "--base", "base"]), @r"
    exit code: 0
    ----- stdout -----
    wrote topics/recipe.toml (base: base)
    wrote topics/rows.jsonl (40 rows)

    next: slm-tune train topics/recipe.toml
    ");
    let checked = [
        "check",
        "topics/recipe.toml",
        "model.max_length=128",
        "--quiet",
    ];
    sandbox.succeeds(&checked);
    let trained = [
        "train",
        "topics/recipe.toml",
        "model.max_length=128",
        "train.max_steps=1",
        "--quiet",
    ];
    let shown = sandbox.succeeds(&trained);
    assert!(shown.contains("topic"), "{shown}");
}

#[test]
fn init_overwrites_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("recipe.toml", "mine");
    assert_shown!(sandbox.run(&["init"]), @r"
    exit code: 2
    ----- stderr -----
    error: `recipe.toml` exists already

    hint: name another folder: `slm-tune init my-project`
    ");
    assert_eq!(sandbox.read("recipe.toml"), "mine");
    assert_eq!(sandbox.tree(), ["recipe.toml"]);
}

#[test]
fn init_without_a_base_at_hand_names_one_from_the_hub() {
    let sandbox = Sandbox::new();
    fs_err::remove_file(sandbox.path("rows.jsonl")).unwrap();
    assert_shown!(sandbox.run(&["init"]), @r"
    exit code: 0
    ----- stdout -----
    wrote recipe.toml (base: HuggingFaceTB/SmolLM2-135M)
    wrote rows.jsonl (40 rows)

    next: slm-tune train recipe.toml
    ");
    assert!(
        sandbox
            .read("recipe.toml")
            .contains("base_model = \"HuggingFaceTB/SmolLM2-135M\"")
    );
}

#[test]
fn doctor_reports_the_build_and_the_machine() {
    let sandbox = Sandbox::new();
    let report = sandbox.json(&["doctor", "--json"]);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert!(report["cores"].as_u64().unwrap() > 0);
    let backends = report["backends"].as_array().unwrap();
    let cpu = backends.iter().find(|it| it["spec"] == "cpu").unwrap();
    assert_eq!(
        (cpu["built"].as_bool(), cpu["usable"].as_bool()),
        (Some(true), Some(true))
    );
    let built = backends
        .iter()
        .any(|it| it["spec"] == "libtorch:cpu" && it["built"] == true);
    assert_eq!(built, cfg!(feature = "libtorch"));
    // With a GPU there is no reason against it, and without one there is.
    let gpu = &report["gpu"];
    let is_gpu = |it: &&serde_json::Value| !it["spec"].as_str().unwrap().ends_with("cpu");
    let mut gpus = backends.iter().filter(is_gpu);
    assert_eq!(gpu["unused"].is_null(), gpus.any(|it| it["usable"] == true));
    assert_eq!(gpu["libtorch"].is_object(), built);
    if built {
        assert!(
            gpu["libtorch"]["version"]
                .as_str()
                .unwrap()
                .starts_with("2.")
        );
    } else {
        assert_eq!(gpu["unused"]["reason"], "not_built");
    }
    let engines = report["engines"].as_array().unwrap();
    assert_eq!(engines.iter().any(|it| it == "Gloo"), built, "{report}");
    let text = sandbox.succeeds(&["doctor"]);
    assert!(text.contains("NVIDIA driver"), "{text}");
    let processes = if built { "any number, by Gloo" } else { "one" };
    let line = text.lines().find(|it| it.starts_with("processes "));
    assert!(line.is_some_and(|it| it.contains(processes)), "{text}");
    assert!(
        text.contains("cores") && text.contains("libtorch:cuda:N"),
        "{text}"
    );
}

#[test]
fn schema_describes_every_section() {
    let schema = Sandbox::new().json(&["schema"]);
    for section in [
        "model",
        "tokenizer",
        "data",
        "lora",
        "train",
        "eval",
        "export",
    ] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}

#[test]
fn a_recipe_is_copied_with_what_it_extends() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["recipes", "cp", "domains/finance", "mine/bank.toml"]), @r"
    exit code: 0
    ----- stdout -----
    wrote mine/quickstart.toml
    wrote mine/bank.toml
    ");
    let copied = sandbox.read("mine/bank.toml");
    assert!(copied.contains("slm-tune train mine/bank.toml"), "{copied}");
    let shown = sandbox.run(&["check", "mine/bank.toml"]);
    assert!(
        shown.contains("no model at"),
        "the copy is not a valid recipe: {shown}"
    );
}

#[test]
fn recipes_are_listed_with_what_they_do() {
    let list = Sandbox::new().json(&["recipes", "ls", "--json"]);
    let names: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"quickstart") && names.contains(&"banking77/lora"),
        "{names:?}"
    );
}

#[test]
fn an_unknown_recipe_is_refused() {
    assert_shown!(Sandbox::new().run(&["recipes", "cp", "quickstrat"]), @r"
    exit code: 2
    ----- stderr -----
    error: no recipe is called `quickstrat`

    hint: `slm-tune recipes ls` lists them
    ");
}

#[test]
fn a_copied_recipe_overwrites_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("quickstart.toml", "mine");
    assert_shown!(sandbox.run(&["recipes", "cp", "quickstart"]), @r"
    exit code: 2
    ----- stderr -----
    error: `quickstart.toml` exists already

    hint: name another file: `slm-tune recipes cp quickstart my-recipe.toml`
    ");
    assert_eq!(sandbox.read("quickstart.toml"), "mine");
}

#[test]
fn without_runs_there_is_nothing_to_list() {
    let sandbox = Sandbox::new();
    assert_shown!(sandbox.run(&["runs", "ls"]), @r"
    exit code: 0
    ----- stdout -----
    no runs under `runs`
    ");
    assert_shown!(sandbox.run(&["runs", "show", "runs/none"]), @r"
    exit code: 2
    ----- stderr -----
    error: `runs/none` does not exist
    ");
}

#[test]
fn completions_know_the_verbs() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Sandbox::new().succeeds(&["completions", shell]);
        assert!(script.contains("doctor"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::Stdio;
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["schema"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
