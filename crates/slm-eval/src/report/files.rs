//! What is shipped, and how each file compares with the model that was trained.

use super::markup::escape;
use super::numbers::size;

/// An exported file or folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShippedFile {
    /// Its path in the export folder.
    pub name: String,
    /// Its size, of a folder that of all files.
    pub size_bytes: u64,
    /// What its weights are stored as; empty where nothing was compared.
    pub weights: String,
    /// Figures of the comparison by name, as text: `mean KL`, `same token`.
    pub figures: Vec<(String, String)>,
    /// The run's tasks, answered by the file, a line each.
    pub tasks: Vec<String>,
    /// Where it differs most: the end of the text up to there.
    pub worst: Option<String>,
}

pub(super) fn section(files: &[ShippedFile]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let names = names(files);
    let heads: String = names
        .iter()
        .map(|name| format!("<th class=\"n\">{}</th>", escape(name)))
        .collect();
    let rows: String = files.iter().map(|file| row(file, &names)).collect();
    format!(
        "<section><h2>Files</h2>\n<p class=\"sub\">each beside the model that was trained, on held-out rows</p>\n\
         <table class=\"stack files\"><thead><tr><th>file</th><th class=\"n\">size</th><th>weights</th>{heads}<th>tasks</th></tr></thead><tbody>{rows}</tbody></table>\n{}</section>\n",
        places(files)
    )
}

/// The figures that any file has, in the order in which they come.
fn names(files: &[ShippedFile]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, _) in files.iter().flat_map(|file| &file.figures) {
        if !names.contains(&name.as_str()) {
            names.push(name.as_str());
        }
    }
    names
}

fn row(file: &ShippedFile, names: &[&str]) -> String {
    let figure = |name: &&str| {
        let found = file.figures.iter().find(|(known, _)| known == name);
        let value = found.map_or("–", |(_, value)| value);
        format!(
            "<td class=\"n\" data-name=\"{}\">{}</td>",
            escape(name),
            escape(value)
        )
    };
    let tasks: String = file
        .tasks
        .iter()
        .map(|line| format!("<small>{}</small>", escape(line)))
        .collect();
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"n\" data-name=\"size\">{}</td><td data-name=\"weights\">{}</td>{}<td data-name=\"tasks\">{tasks}</td></tr>",
        escape(&file.name),
        size(file.size_bytes),
        escape(&file.weights),
        names.iter().map(figure).collect::<String>()
    )
}

/// The texts after which files differ most.
fn places(files: &[ShippedFile]) -> String {
    let place = |file: &ShippedFile| {
        let text = file.worst.as_ref()?;
        Some(format!(
            "<dt>{}</dt><dd><pre>{}</pre></dd>",
            escape(&file.name),
            escape(text)
        ))
    };
    let places: String = files.iter().filter_map(place).collect();
    match places.is_empty() {
        true => places,
        false => format!(
            "<details><summary>Where they differ most: the next token after these texts</summary><dl class=\"places\">{places}</dl></details>\n"
        ),
    }
}
