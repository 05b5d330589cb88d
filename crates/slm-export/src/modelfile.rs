//! `Modelfile`, which Ollama makes a model of.
//!
//! Ollama does not run a model's own template but one in Go's language. It is derived from what the model's template writes around
//! messages, and left out where that cannot be said so.

use slm_text::{ChatTokenizer, Message};

/// Stand-ins for what messages say.
const MARKS: [&str; 4] = ["\u{e000}", "\u{e001}", "\u{e002}", "\u{e003}"];
const ROLES: [&str; 4] = ["system", "user", "assistant", "user"];

/// The text of the file, for the GGUF file called `file`.
pub(crate) fn modelfile(file: &str, tokenizer: &ChatTokenizer) -> String {
    let mut text = format!("# ollama create NAME -f Modelfile\nFROM ./{file}\n");
    match Wrapping::of(tokenizer) {
        Some(wrapping) => text += &format!("TEMPLATE \"\"\"{}\"\"\"\n", wrapping.in_go()),
        None if tokenizer.has_template() => {
            text += "# The chat template cannot be said in Ollama's language: give it whole prompts, with `raw`.\n";
        }
        None => text += "TEMPLATE \"\"\"{{ .Prompt }}\"\"\"\n",
    }
    for id in tokenizer.stop_ids() {
        text += &format!("PARAMETER stop {:?}\n", tokenizer.token(id));
    }
    text
}

/// What a template writes around messages.
#[derive(Debug, PartialEq)]
struct Wrapping {
    /// In front of the first message, where there is no system message.
    without_system: String,
    system: [String; 2],
    user: [String; 2],
    assistant: [String; 2],
    /// Before the answer that is still to come.
    answer: String,
}

impl Wrapping {
    /// That of a chat template; `None` where it depends on more than the role of each message.
    fn of(tokenizer: &ChatTokenizer) -> Option<Self> {
        let whole = render(tokenizer, &[0, 1, 2, 3])?;
        let [start, to_user, to_assistant, back_to_user, end] = cut(&whole)?;
        let alone = render(tokenizer, &[1])?;
        let (head, _) = alone.split_once(MARKS[1])?;
        let before_user = common_end(head, &back_to_user);
        let before_user = common_end(before_user, &to_user);
        let after_user = common_start(&to_assistant, &end);
        let strip = |text: &str, end: &str| Some(text.strip_suffix(end)?.to_string());
        let wrapping = Self {
            without_system: strip(head, before_user)?,
            system: [start, strip(&to_user, before_user)?],
            user: [before_user.into(), after_user.into()],
            assistant: [
                to_assistant[after_user.len()..].into(),
                strip(&back_to_user, before_user)?,
            ],
            answer: end[after_user.len()..].into(),
        };
        let texts = wrapping.in_go();
        let is_sayable = !texts.contains("\"\"\"") && !whole.contains("{{");
        let conversations: [&[usize]; 4] = [&[1], &[0, 1], &[1, 2, 3], &[0, 1, 2, 3]];
        let mut alike = conversations.into_iter().map(|messages| {
            let rendered = render(tokenizer, messages)?;
            (wrapping.write(messages) == rendered).then_some(())
        });
        (is_sayable && alike.all(|alike| alike.is_some())).then_some(wrapping)
    }

    /// What Ollama makes of a conversation.
    fn write(&self, messages: &[usize]) -> String {
        let mut text = match messages.first() {
            Some(0) => String::new(),
            _ => self.without_system.clone(),
        };
        for &message in messages {
            let [before, after] = match ROLES[message] {
                "system" => &self.system,
                "user" => &self.user,
                _ => &self.assistant,
            };
            text += &format!("{before}{}{after}", MARKS[message]);
        }
        text + &self.answer
    }

    fn in_go(&self) -> String {
        let turn = |[before, after]: &[String; 2]| format!("{before}{{{{ .Content }}}}{after}");
        let default = match self.without_system.as_str() {
            "" => String::new(),
            text => format!("{{{{ if not .System }}}}{text}{{{{ end }}}}"),
        };
        format!(
            "{default}{{{{ range .Messages }}}}{{{{ if eq .Role \"system\" }}}}{}{{{{ else if eq .Role \"user\" }}}}{}{{{{ else if eq .Role \"assistant\" }}}}{}{{{{ end }}}}{{{{ end }}}}{}",
            turn(&self.system),
            turn(&self.user),
            turn(&self.assistant),
            self.answer
        )
    }
}

/// A conversation of stand-ins, up to the answer, without BOS: Ollama puts it there.
fn render(tokenizer: &ChatTokenizer, messages: &[usize]) -> Option<String> {
    let messages: Vec<Message> = (messages.iter())
        .map(|&i| Message::new(ROLES[i], MARKS[i]))
        .collect();
    let text = tokenizer.render(&messages, true).ok()?;
    let bos = tokenizer.bos_id().map(|id| tokenizer.token(id));
    let bos = bos.filter(|_| tokenizer.adds_bos()).unwrap_or_default();
    Some(text.strip_prefix(&bos).unwrap_or(&text).to_string())
}

/// What stands between the stand-ins.
fn cut(text: &str) -> Option<[String; 5]> {
    let (mut rest, mut parts) = (text, Vec::new());
    for mark in MARKS {
        let (before, after) = rest.split_once(mark)?;
        parts.push(before.to_string());
        rest = after;
    }
    parts.push(rest.into());
    parts.try_into().ok()
}

fn common_start<'a>(a: &'a str, b: &str) -> &'a str {
    let alike = a.char_indices().zip(b.chars());
    let end = alike.take_while(|((_, a), b)| a == b).last();
    end.map_or("", |((at, c), _)| &a[..at + c.len_utf8()])
}

fn common_end<'a>(a: &'a str, b: &str) -> &'a str {
    let alike = a.char_indices().rev().zip(b.chars().rev());
    let start = alike.take_while(|((_, a), b)| a == b).last();
    start.map_or("", |((at, _), _)| &a[at..])
}

#[cfg(test)]
mod tests {
    use slm_text::train_bpe;

    use super::*;

    fn tokenizer(template: &str) -> ChatTokenizer {
        let dir = tempfile::tempdir().unwrap();
        train_bpe(["some text".to_string()].into_iter(), 300, dir.path()).unwrap();
        fs_err::write(dir.path().join("chat_template.jinja"), template).unwrap();
        ChatTokenizer::load(dir.path(), "auto").unwrap()
    }

    const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

    #[test]
    fn a_template_by_roles_is_said_in_go() {
        let wrapping = Wrapping::of(&tokenizer(CHATML)).unwrap();
        assert_eq!(wrapping.without_system, "");
        assert_eq!(
            wrapping.write(&[0, 1]),
            "<|im_start|>system\n\u{e000}<|im_end|>\n<|im_start|>user\n\u{e001}<|im_end|>\n<|im_start|>assistant\n"
        );
        let text = modelfile("run-Q4_K_M.gguf", &tokenizer(CHATML));
        assert!(text.contains("FROM ./run-Q4_K_M.gguf\nTEMPLATE \"\"\"{{ range .Messages }}"));
        assert!(text.contains("PARAMETER stop \"<|im_end|>\"\n"), "{text}");
    }

    #[test]
    fn a_system_message_that_is_not_given_is_said_too() {
        let template = format!(
            "{{% if messages[0].role != 'system' %}}{{{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}}}{{% endif %}}{CHATML}"
        );
        let wrapping = Wrapping::of(&tokenizer(&template)).unwrap();
        assert!(wrapping.without_system.contains("Be kind."));
        assert!(wrapping.in_go().starts_with("{{ if not .System }}"));
    }

    #[test]
    fn what_depends_on_more_than_roles_is_left_out() {
        let last = "{% for m in messages %}{{ (loop.index0 ~ m.content) }}{% endfor %}";
        let tokenizer = tokenizer(last);
        assert_eq!(Wrapping::of(&tokenizer), None);
        let text = modelfile("a.gguf", &tokenizer);
        assert!(!text.contains("TEMPLATE") && text.contains("cannot be said"));
    }
}
