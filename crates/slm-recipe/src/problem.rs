//! What is wrong with a recipe, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a problem is. Ordered as a reader meets it: files first, then overrides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File {
        /// The file as the user named it.
        file: PathBuf,
    },
    /// A position in a file.
    Position {
        /// The file as the user named it.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// An override of the command line.
    Override {
        /// The override as it was written.
        text: String,
    },
}

impl Place {
    /// The line, where there is one.
    pub(crate) fn line(&self) -> Option<usize> {
        if let Self::Position { line, .. } = self {
            Some(*line)
        } else {
            None
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => write!(f, "{}", file.display()),
            Self::Position { file, line, column } => {
                write!(f, "{}:{line}:{column}", file.display())
            }
            Self::Override { text } => write!(f, "override `{text}`"),
        }
    }
}

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It is not TOML.
    #[error("{reason}")]
    Syntax {
        /// What the parser said.
        reason: String,
    },
    /// A recipe extends itself, directly or through others.
    #[error("`extends` leads back to `{}`", target.display())]
    Circle {
        /// The recipe it leads back to.
        target: PathBuf,
    },
    /// An override that is not `key=value`.
    #[error("{reason}")]
    Override {
        /// What is wrong with it.
        reason: String,
    },
    /// A key that no section has.
    #[error("unknown key `{key}`{}", question(nearest.as_deref()))]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// A key that has to be there.
    #[error("missing key `{key}`{}", because(reason.as_deref()))]
    MissingKey {
        /// The key with its section.
        key: String,
        /// When it is needed, if it is not always.
        reason: Option<String>,
    },
    /// A value of another type.
    #[error("`{key}` is {found}, needs {needed}")]
    WrongType {
        /// The key with its section.
        key: String,
        /// The type that was found.
        found: String,
        /// The type that is needed.
        needed: String,
    },
    /// A text that is none of those allowed.
    #[error("`{key}` is `{found}`, needs one of {}{}", list(allowed), question(nearest.as_deref()))]
    NotAllowed {
        /// The key with its section.
        key: String,
        /// The text that was found.
        found: String,
        /// All that are allowed.
        allowed: Vec<String>,
        /// The one that was probably meant.
        nearest: Option<String>,
    },
    /// A value outside its range.
    #[error("`{key}` is {found}, needs {needed}")]
    OutOfRange {
        /// The key with its section.
        key: String,
        /// The value that was found.
        found: String,
        /// The range.
        needed: String,
    },
    /// A rule that is not `REGEX=TYPE`.
    #[error("`{key}` is `{rule}`: {reason}")]
    TypeRule {
        /// The key with its section.
        key: String,
        /// The rule that was found.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Keys that are fine alone, but not together.
    #[error("{reason}")]
    Conflict {
        /// What contradicts what, and what is needed.
        reason: String,
    },
}

fn question(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; did you mean `{nearest}`?")
    })
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

fn list(allowed: &[String]) -> String {
    allowed
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Everything that is wrong with a recipe or a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeErrors {
    /// `recipe` or `suite`.
    pub what: &'static str,
    /// The recipe as the user named it.
    pub recipe: PathBuf,
    /// The problems in the order in which a reader meets them; at least one.
    pub errors: Vec<(Place, RecipeError)>,
}

impl RecipeErrors {
    pub(crate) fn new(
        what: &'static str,
        recipe: &Path,
        mut errors: Vec<(Place, RecipeError)>,
    ) -> Self {
        errors.sort_by(|left, right| left.0.cmp(&right.0));
        Self {
            what,
            recipe: recipe.into(),
            errors,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let any = |test: fn(&RecipeError) -> bool| self.errors.iter().any(|(_, error)| test(error));
        if self.what == "recipe" && any(|error| matches!(error, RecipeError::Unreadable { .. })) {
            return Some("`slm-tune recipes ls` lists the recipes that come with slm-tune".into());
        }
        if any(|error| {
            matches!(
                error,
                RecipeError::UnknownKey { .. } | RecipeError::MissingKey { .. }
            )
        }) {
            return Some("`recipes/reference.toml` has every key with its default".into());
        }
        if any(|error| matches!(error, RecipeError::TypeRule { .. })) {
            return Some("a rule is `REGEX=TYPE`, such as `attn_v=Q8_0`".into());
        }
        None
    }
}

impl fmt::Display for RecipeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recipe = self.recipe.display();
        if let [(Place::File { .. }, RecipeError::Unreadable { reason, .. })] =
            self.errors.as_slice()
        {
            return write!(f, "cannot read {} `{recipe}`: {reason}", self.what);
        }
        let count = self.errors.len();
        write!(
            f,
            "{} `{recipe}` has {count} problem{}",
            self.what,
            if count == 1 { "" } else { "s" }
        )?;
        let places: Vec<_> = self
            .errors
            .iter()
            .map(|(place, _)| place.to_string())
            .collect();
        let width = places
            .iter()
            .map(|place| place.chars().count())
            .max()
            .unwrap_or(0);
        for (place, (_, error)) in places.iter().zip(&self.errors) {
            write!(f, "\n  {place:width$} {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RecipeErrors {}
