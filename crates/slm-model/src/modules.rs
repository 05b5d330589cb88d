//! Which modules of a model an adapter touches, by PEFT's rules.

use regex::Regex;
use slm_recipe::TargetModules;

/// A choice of modules by name.
#[derive(Clone, Debug)]
pub(crate) enum Modules {
    /// Every linear layer but the head.
    AllLinear,
    /// The modules whose path ends in one of these.
    Names(Vec<String>),
    /// The modules whose whole path matches.
    Pattern(Regex),
}

impl Modules {
    pub(crate) fn none() -> Self {
        Self::Names(Vec::new())
    }

    /// The choice that a string of `adapter_config.json` makes.
    ///
    /// # Errors
    /// It is not a regular expression.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "all-linear" {
            return Ok(Self::AllLinear);
        }
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole
            .map(Self::Pattern)
            .map_err(|_| format!("`{text}` is no regular expression"))
    }

    /// Whether it holds the module at `path`, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) fn holds(&self, path: &str) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Names(names) => names.iter().any(|name| ends_with_module(path, name)),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }

    /// A name that no path ends in.
    pub(crate) fn unused<'a>(&'a self, paths: &[String]) -> Option<&'a str> {
        let used = |name: &&String| paths.iter().any(|path| ends_with_module(path, name));
        match self {
            Self::AllLinear => None,
            Self::Names(names) => names.iter().find(|name| !used(name)).map(String::as_str),
            Self::Pattern(pattern) => {
                let none = !paths.iter().any(|path| pattern.is_match(path));
                none.then(|| pattern.as_str())
            }
        }
    }
}

impl From<&TargetModules> for Modules {
    fn from(modules: &TargetModules) -> Self {
        match modules {
            TargetModules::AllLinear => Self::AllLinear,
            TargetModules::Names(names) => Self::Names(names.clone()),
        }
    }
}

/// Whether `path` is the module `name`, or one of that name inside another.
pub(crate) fn ends_with_module(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The number of the layer that `path` lies in: its first numbered part.
pub(crate) fn layer_of(path: &str) -> Option<usize> {
    path.split('.').find_map(|part| part.parse().ok())
}

/// The value of the first pattern that the end of `path` matches, as PEFT reads `rank_pattern` and `alpha_pattern`.
pub(crate) fn by_pattern<'a, T>(
    patterns: impl IntoIterator<Item = (&'a String, T)>,
    path: &str,
) -> Option<T> {
    patterns
        .into_iter()
        .find(|(pattern, _)| {
            let end = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"));
            end.is_ok_and(|end| end.is_match(path))
        })
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "model.layers.1.self_attn.q_proj";

    #[test]
    fn names_match_whole_parts_at_the_end() {
        for (name, holds) in [
            ("q_proj", true),
            ("self_attn.q_proj", true),
            ("proj", false),
            (PATH, true),
        ] {
            assert_eq!(
                Modules::Names(vec![name.into()]).holds(PATH),
                holds,
                "{name}"
            );
        }
        assert!(Modules::parse(r".*\.[qv]_proj").unwrap().holds(PATH));
        assert!(!Modules::parse(r"[qv]_proj").unwrap().holds(PATH));
        assert!(
            Modules::parse("(")
                .unwrap_err()
                .contains("no regular expression")
        );
    }

    #[test]
    fn the_first_matching_pattern_counts() {
        let patterns = [
            ("layers.1.self_attn.q_proj".to_string(), 2),
            ("q_proj".to_string(), 4),
        ];
        let of = |path| by_pattern(patterns.iter().map(|(p, v)| (p, *v)), path);
        assert_eq!(of(PATH), Some(2));
        assert_eq!(of("model.layers.0.self_attn.q_proj"), Some(4));
        assert_eq!(of("model.layers.0.self_attn.k_proj"), None);
        assert_eq!(layer_of(PATH), Some(1));
    }
}
