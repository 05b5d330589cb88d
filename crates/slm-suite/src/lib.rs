//! What a CI job asks of a model: suites of tasks, as TOML or as files of lm-evaluation-harness, and the requests that they make.
