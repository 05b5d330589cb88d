use glob::{MatchOptions, Pattern};

use crate::error::DataError;

/// Names in a pattern: `*` stays in its folder, and finds no hidden file.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// What a pattern has in place of what may differ.
pub(super) const SIGNS: [char; 3] = ['*', '?', '['];

/// Which files below a folder a source means, on disk or in a store.
pub(super) struct Names<'a> {
    path: &'a str,
    /// None for all.
    pattern: Option<Pattern>,
}

impl<'a> Names<'a> {
    /// All that are not hidden.
    pub(super) fn all(path: &'a str) -> Self {
        let pattern = None;
        Self { path, pattern }
    }

    /// Those of a pattern.
    pub(super) fn like(path: &'a str) -> Result<Self, DataError> {
        let pattern = Pattern::new(path).map_err(|error| DataError::Pattern {
            path: path.into(),
            reason: error.msg.into(),
        })?;
        let pattern = Some(pattern);
        Ok(Self { path, pattern })
    }

    /// What the recipe has.
    pub(super) fn path(&self) -> &'a str {
        self.path
    }

    /// The folder that all of them are below, with its slash; nothing for the working directory.
    pub(super) fn folder(&self) -> &'a str {
        let fixed = match self.pattern {
            None => return self.path,
            Some(_) => self.path.find(SIGNS).unwrap_or(self.path.len()),
        };
        self.path[..fixed]
            .rfind('/')
            .map_or("", |end| &self.path[..=end])
    }

    /// How many folders deep they are below another at most; none where it is any number.
    pub(super) fn depth(&self) -> Option<usize> {
        self.pattern.as_ref()?;
        let below = &self.path[self.folder().len()..];
        let names = below.split('/').filter(|name| !name.is_empty());
        (!below.contains("**")).then(|| names.count())
    }

    /// Whether the name of a file or folder is no hidden one (`.` or `_` in front, as Spark and Hive have it).
    pub(super) fn sees(&self, name: &str) -> bool {
        !name.starts_with('.') && (self.pattern.is_some() || !name.starts_with('_'))
    }

    /// Whether a file that is seen is meant.
    pub(super) fn means(&self, file: &str) -> bool {
        let pattern = self.pattern.as_ref();
        pattern.is_none_or(|pattern| pattern.matches_with(file, OPTIONS))
    }

    /// The files that were found, in the order of their names.
    pub(super) fn sorted(&self, mut found: Vec<String>) -> Result<Vec<String>, DataError> {
        found.sort();
        match found.is_empty() {
            true => Err(DataError::NoFiles {
                path: self.path.into(),
            }),
            false => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_folder_and_a_depth() {
        for (path, folder, depth) in [
            ("*.txt", "", Some(1)),
            ("rows/*.txt", "rows/", Some(1)),
            ("rows/*/a-[0-9].txt", "rows/", Some(2)),
            ("rows/a?/**/b.txt", "rows/", None),
            ("s3://rows/day=*/part-?.jsonl", "s3://rows/", Some(2)),
        ] {
            let names = Names::like(path).unwrap();
            assert_eq!((names.folder(), names.depth()), (folder, depth), "{path}");
        }
        let all = Names::all("s3://rows/");
        assert_eq!((all.folder(), all.depth()), ("s3://rows/", None));
    }
}
