//! The crate from outside.
//!
//! - `generation`: `{% generation %}` blocks and lists of parts
//! - `loading`: a tokenizer's folder and what can be wrong with it
//! - `learned`: which tokens of a conversation are learned
//! - `pairs`: prompts with completions, and plain text
//! - `real_templates`: the same under real vendors' templates and with their tokenizers
//! - `streaming`: ids to text, one by one
//! - `templates`: renderings that jinja2 made of real vendors' templates
//! - `training`: a tokenizer of one's own
//! - `vocabularies`: whether ids mean the same to two of them
//! - `vectors`: ids that other implementations made with real vendors' vocabularies
//! - `fixtures`: small tokenizers, and the folder of material that lies beside the project

mod fixtures;
mod generation;
mod learned;
mod loading;
mod pairs;
mod real_templates;
mod streaming;
mod templates;
mod training;
mod vectors;
mod vocabularies;
