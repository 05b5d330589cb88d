//! What a run must do, on a model of 2 layers and 8 rows.

// Model, rows and a run over them.
mod tiny;

// Rows are learned by heart; how they are cut into micro-batches does not matter.
mod learning;
// Layers follow a teacher's, and their projections are resumed with the rest.
mod aligning;
// Answers are generated on the way, and a resumed run generates the same.
mod practising;
// An interrupted run goes on as if nothing had happened.
mod resuming;
// A base in f16 learns: its loss is scaled.
mod half;
// Which weights are the best, and when it is enough.
mod judging;
// A step that is not to be learned from stops the run.
mod watchdog;
