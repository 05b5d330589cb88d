//! What the answers of a task are held to while they are written.

use slm_grammar::{Constraint, Grammar, Vocabulary};
use slm_recipe::EvalTask;
use slm_run::RunError;
use slm_text::ChatTokenizer;

use crate::error::EvalError;

/// The task's constraint at the beginning of an answer, over the tokens of this tokenizer; `None` for a task without one.
///
/// # Errors
/// Labels, a regular expression or a schema that answers cannot be held to; a file that is not there or no JSON; a
/// tokenizer that does not spell a text token by token.
pub fn constraint(
    task: &EvalTask,
    tokenizer: &ChatTokenizer,
) -> Result<Option<Constraint>, EvalError> {
    let Some(grammar) = grammar(task)? else {
        return Ok(None);
    };
    let tokens = tokenizer.token_bytes();
    let tokens = tokens.map_err(|source| EvalError::Unspelled {
        task: task.name.clone(),
        source,
    })?;
    let constraint = Vocabulary::new(tokens).and_then(|vocabulary| grammar.over(&vocabulary));
    Ok(Some(constraint.map_err(|source| {
        EvalError::constraint(&task.name, source)
    })?))
}

fn grammar(task: &EvalTask) -> Result<Option<Grammar>, EvalError> {
    let Some(constraint) = &task.constraint else {
        return Ok(None);
    };
    let grammar = match (&constraint.regex, &constraint.json_schema) {
        (Some(regex), _) => Grammar::regex(regex),
        (None, Some(path)) => {
            let text = fs_err::read(path).map_err(|error| RunError::io(path, error))?;
            let schema = serde_json::from_slice(&text);
            let schema = schema.map_err(|source| EvalError::SchemaFile {
                task: task.name.clone(),
                path: path.into(),
                source,
            })?;
            Grammar::json_schema(&schema)
        }
        (None, None) => Grammar::labels(&task.choices),
    };
    grammar
        .map(Some)
        .map_err(|source| EvalError::constraint(&task.name, source))
}
