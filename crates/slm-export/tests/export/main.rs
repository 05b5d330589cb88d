//! Exports of tiny models, read back and compared; and files with faults in them, which must not pass.
//!
//! | module | what |
//! |---|---|
//! | `compressed` | folders for vLLM |
//! | `families` | all files of all families answer as the trained model |
//! | `converted` | tensors and keys are those of llama.cpp's own converters |
//! | `adapters` | the adapter alone as a GGUF file |
//! | `folders` | which files there are, and what is in them |
//! | `importance` | quantized files that follow what matters, and types that the recipe sets |
//! | `refusals` | requests that cannot be met, and what is told |
//! | `certificates` | the certificate, and what it finds in tokenizers and templates |
//! | `faults` | a file that is wrong in one place is found out |
//! | `vocabulary` | what a GGUF says about the tokenizer |
//! | `published` | models that others made, from `../shared` |

mod adapters;
mod bench;
mod certificates;
mod compressed;
mod converted;
mod families;
mod faults;
mod folders;
mod importance;
mod published;
mod refusals;
mod vocabulary;
