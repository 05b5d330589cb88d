//! From files and overrides to one document, and from the document to a recipe.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::combination::{contradictions, fill_dependent_defaults};
use crate::document::{Node, Value, parse_file, parse_override};
use crate::schema::Schema;
use crate::shape::Shape;
use crate::{Place, Recipe, RecipeError, RecipeErrors, json_schema};

type Errors = Vec<(Place, RecipeError)>;

impl Recipe {
    /// Reads a recipe, lays it over those that it extends, lays the overrides over it (`train.learning_rate=1e-4`; what is no
    /// TOML value is a text), checks it and fills in the defaults.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeErrors> {
        let fail = |errors| RecipeErrors::new("recipe", path, errors);
        let mut document = read(path).map_err(fail)?;
        let mut errors = apply(&mut document, overrides);
        let recipe = resolve(path, &document, &mut errors);
        match recipe {
            Some(recipe) if errors.is_empty() => Ok(recipe),
            _ => Err(fail(errors)),
        }
    }
}

/// Reads a document of another type than a recipe, which is a `what`; `check` says what contradicts itself in it, by key.
pub(crate) fn load<T: JsonSchema + DeserializeOwned>(
    what: &'static str,
    path: &Path,
    overrides: &[String],
    check: impl Fn(&mut T) -> Vec<(String, String)>,
) -> Result<T, RecipeErrors> {
    let fail = |errors| RecipeErrors::new(what, path, errors);
    let mut document = read(path).map_err(fail)?;
    let mut errors = apply(&mut document, overrides);
    let schema = schemars::schema_for!(T).to_value();
    let mut value = shaped::<T>(&document, &schema, &mut errors).map(|(value, _)| value);
    if errors.is_empty()
        && let Some(value) = &mut value
    {
        let found = check(value).into_iter().map(|(key, reason)| {
            let reason = format!("`{key}` {reason}");
            (document.place_of(&key), RecipeError::Conflict { reason })
        });
        errors.extend(found);
    }
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(fail(errors)),
    }
}

/// Reads a recipe together with those that it extends.
fn read(path: &Path) -> Result<Node, Errors> {
    let whole = Place::File { file: path.into() };
    read_chain(path, whole, &mut Vec::new())
}

fn read_chain(path: &Path, asked_at: Place, chain: &mut Vec<PathBuf>) -> Result<Node, Errors> {
    let unreadable = |error: Error| vec![(asked_at.clone(), unreadable(path, &error))];
    let canonical = fs_err::canonicalize(path).map_err(unreadable)?;
    if chain.contains(&canonical) {
        return Err(vec![(
            asked_at,
            RecipeError::Circle {
                target: path.into(),
            },
        )]);
    }
    chain.push(canonical);
    let text = fs_err::read_to_string(path).map_err(unreadable)?;
    let child = parse_file(path, &text)?;
    let Some(extends) = child.get("extends") else {
        return Ok(child);
    };
    // Anything but a text is reported with the other wrong types.
    let Value::String(base) = &extends.value else {
        return Ok(child);
    };
    let base_path = path.parent().unwrap_or(Path::new("")).join(base);
    let mut merged = read_chain(&base_path, extends.place.clone(), chain)?;
    if let Value::Table(keys) = &mut merged.value {
        for own in ["name", "output_dir", "extends"] {
            keys.remove(own);
        }
    }
    merged.overlay(child);
    Ok(merged)
}

/// A file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &Error) -> RecipeError {
    let reason = match error.kind() {
        ErrorKind::NotFound => "it does not exist".into(),
        ErrorKind::InvalidData => "it is not UTF-8".into(),
        ErrorKind::IsADirectory => "it is a folder".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    };
    RecipeError::Unreadable {
        file: path.into(),
        reason,
    }
}

/// Lays the overrides over a document; gives those that cannot be.
fn apply(document: &mut Node, overrides: &[String]) -> Errors {
    let failed = overrides.iter().filter_map(|text| {
        let error = apply_one(document, text).err()?;
        Some((Place::Override { text: text.clone() }, error))
    });
    failed.collect()
}

fn apply_one(document: &mut Node, text: &str) -> Result<(), RecipeError> {
    let refuse = |reason: &str| RecipeError::Override {
        reason: reason.into(),
    };
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| refuse("has no `=`, needs `key=value`"))?;
    let path: Vec<_> = key.trim().split('.').collect();
    if path.iter().any(|name| name.is_empty()) {
        return Err(refuse("has an empty key, needs `section.key=value`"));
    }
    if path == ["extends"] {
        return Err(refuse("`extends` belongs into the recipe"));
    }
    document.set(&path, parse_override(text, value.trim())?)
}

/// Checks a document and makes the recipe; where something is wrong, checks as much of the rest as can be.
fn resolve(path: &Path, document: &Node, errors: &mut Errors) -> Option<Recipe> {
    let (mut recipe, bad_keys) = shaped::<Recipe>(document, &json_schema(), errors)?;
    fill_names(&mut recipe, path);
    fill_dependent_defaults(&mut recipe, document);
    errors.append(&mut contradictions(&recipe, document, &bad_keys));
    Some(recipe)
}

/// The value that a document describes, and the keys that are wrong in it.
fn shaped<T: DeserializeOwned>(
    document: &Node,
    json_schema: &Json,
    errors: &mut Errors,
) -> Option<(T, Vec<String>)> {
    let schema = Schema::new(json_schema)?;
    let mut shape = Shape::default();
    let mut json = shape.value("", document, schema, schema)?;
    errors.append(&mut shape.errors);
    if let Json::Object(keys) = &mut json {
        keys.remove("extends");
    }
    match serde_json::from_value(json) {
        Ok(value) => Some((value, shape.bad_keys)),
        Err(error) => {
            errors.push((
                document.place.clone(),
                RecipeError::Conflict {
                    reason: error.to_string(),
                },
            ));
            None
        }
    }
}

fn fill_names(recipe: &mut Recipe, path: &Path) {
    if recipe.name.is_empty() {
        recipe.name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
    }
    if recipe.output_dir.is_empty() {
        recipe.output_dir = format!("runs/{}", recipe.name);
    }
}
