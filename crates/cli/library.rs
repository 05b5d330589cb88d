//! The recipes that come with the binary.

/// Name, and the file under `recipes/`.
pub(crate) struct Shipped {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../recipes/", $name, ".toml")),
        }),*]
    };
}

/// Every file under `recipes/`, in alphabetical order.
pub(crate) const RECIPES: &[Shipped] = shipped![
    "banking77/lora",
    "base/slm-base-2m",
    "classifier",
    "distill/retail",
    "distill/retail-hidden",
    "distill/retail-on-policy",
    "domains/finance",
    "domains/healthcare",
    "domains/manufacturing",
    "domains/retail",
    "domains/telecom",
    "gsm8k/lora",
    "preference/dpo",
    "preference/kto",
    "preference/orpo",
    "quickstart",
    "qwen2.5-0.5b/lora",
    "qwen2.5-0.5b/qlora",
    "reference",
    "smollm2-135m/lora",
    "smollm2-135m/ship",
];

impl Shipped {
    /// The recipe of this name; a path under `recipes/` is a name as well.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let name = name
            .trim_start_matches("recipes/")
            .trim_end_matches(".toml");
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// The first sentence of the header comment.
    pub(crate) fn summary(&self) -> &'static str {
        let line = self.text.lines().next().unwrap_or_default();
        line.trim_start_matches('#').trim()
    }

    /// What this recipe extends: the path as it is written, and the recipe it means.
    pub(crate) fn extends(&self) -> Option<(&'static str, &'static Shipped)> {
        let line = self
            .text
            .lines()
            .find_map(|line| line.strip_prefix("extends = \""))?;
        let written = line.split('"').next()?;
        let parent = Self::find(written.trim_start_matches("../"))?;
        Some((written, parent))
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // Suites are no recipes.
            if path.is_dir() && path.ends_with("eval") {
                continue;
            }
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|end| end == "toml") {
                files.push(path);
            }
        }
    }

    #[test]
    fn every_file_under_recipes_is_shipped() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let mut files = Vec::new();
        walk(&root, &mut files);
        let mut names: Vec<_> = files
            .iter()
            .map(|path| {
                let path = path.strip_prefix(&root).unwrap().with_extension("");
                path.to_string_lossy().replace('\\', "/")
            })
            .collect();
        names.sort();
        let shipped: Vec<_> = RECIPES.iter().map(|recipe| recipe.name).collect();
        assert_eq!(names, shipped);
    }

    #[test]
    fn every_recipe_says_what_it_does_and_how_to_run_it() {
        for recipe in RECIPES {
            assert!(recipe.summary().ends_with('.'), "{}", recipe.name);
            let verb = match recipe.name.starts_with("distill/") {
                true => "distill",
                false => "train",
            };
            let command = format!("slm-tune {verb} recipes/{}.toml", recipe.name);
            assert!(
                recipe.text.contains(&command) || recipe.name == "reference",
                "{} does not hold `{command}`",
                recipe.name
            );
        }
    }
}
