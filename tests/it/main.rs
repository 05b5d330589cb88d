//! Black-box tests of the binary: what is typed, and what comes back as exit code, stdout and stderr.

// The binary in a folder of its own.
mod sandbox;

// Verbs that need no model: help, init, doctor, schema, recipes, runs, completions.
mod project;
// Every file under recipes/ is a valid recipe.
mod shipped_recipes;
// A recipe that is wrong.
mod bad_recipe;
// Rows that are wrong.
mod bad_data;
// A base, a device or a folder that is wrong.
mod bad_model;
// logits: the same numbers as other implementations.
mod logits;
// check, data show, data stats, data prepare.
mod looking;
// Rows that do not fit into memory, under a limit of the operating system; libtorch alone maps more than that.
#[cfg(not(feature = "libtorch"))]
mod large_rows;
// data card, data diff: a prepared set described, and compared with another.
mod prepared;
// data lineage: a row from its file to its tokens.
mod lineage;
// What bench measures, and of what.
mod bench;
// What is learned, proven before the first step and held to afterwards.
mod mask;
// Answers held to labels, a regex or a JSON schema.
mod constrained;
// A base in int8 and NF4 under an adapter.
mod quantized;
// A GGUF file of floats to one of blocks.
mod quantize;
// Learning from judged answers: DPO, ORPO, KTO.
mod preference;
// Learning from a teacher: live, or from what it said once.
mod distill;
// The steps of another trainer, repeated from rows that are tokens already.
mod trajectory;
// Several processes that train one model.
#[cfg(feature = "libtorch")]
mod ranks;
// Teachers and judges behind an endpoint.
mod served;
mod served_student;
// train, resume, eval, export, generate, chat: from rows to an answer.
mod test_rows;
mod the_walk;
// gate, baseline save: is a run good enough, and do so many items tell?
mod gates;
// data audit: labels that are likely wrong, planted and found.
mod auditing;
// Rows of a task among those to learn from: measured with and without.
mod leaks;
// Suites of tasks, in TOML and in the YAML of lm-evaluation-harness.
mod suites;
// What a run tells while it trains, what it is judged by, and what stops it.
mod dynamics;
