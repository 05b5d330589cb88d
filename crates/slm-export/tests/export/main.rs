//! Exports of tiny models, read back and compared; and files with faults in them, which must not pass.
//!
//! | module | what |
//! |---|---|
//! | `families` | all files of all families answer as the trained model |
//! | `converted` | tensors and keys are those of llama.cpp's own converters |
//! | `adapters` | the adapter alone as a GGUF file |
//! | `folders` | which files there are, and what is in them |
//! | `refusals` | requests that cannot be met, and what is told |
//! | `faults` | a file that is wrong in one place is found out |
//! | `vocabulary` | what a GGUF says about the tokenizer |
//! | `published` | models that others made, from `../shared` |

mod adapters;
mod bench;
mod converted;
mod families;
mod faults;
mod folders;
mod published;
mod refusals;
mod vocabulary;
