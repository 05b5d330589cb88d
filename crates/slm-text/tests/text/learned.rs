//! Which tokens of a conversation are learned.
//!
//! The tokenizers here have one token per byte, so that what is learned can be read back byte by byte.

use slm_text::{Conversation, Learned, Message, TextError, TrainOnSpec};

use crate::fixtures::{
    ASSISTANT, WITHOUT_EOS, bytes_with, chat, encode, learned, load, shared, trained, with_template,
};

#[test]
fn chatml_learns_answers_and_their_ends() {
    let tokenizer = load(&trained(400));
    let messages = [
        ("system", "s"),
        ("user", "hi"),
        ("assistant", " hello\n"),
        ("user", "42?"),
        ("assistant", "42"),
    ];
    let spec = |which, eos| TrainOnSpec { which, eos };
    assert_eq!(
        encode(&tokenizer, &messages, ASSISTANT),
        " hello\n<|im_end|>|42<|im_end|>"
    );
    assert_eq!(encode(&tokenizer, &messages, WITHOUT_EOS), " hello\n|42");
    assert_eq!(
        encode(&tokenizer, &messages, spec(Learned::LastAssistant, true)),
        "42<|im_end|>"
    );
    assert_eq!(
        encode(&tokenizer, &messages, spec(Learned::LastAssistant, false)),
        "42"
    );
    for (first, learned) in [(4, "42<|im_end|>"), (3, "42<|im_end|>"), (5, "")] {
        let from = spec(Learned::From(first), true);
        assert_eq!(encode(&tokenizer, &messages, from), learned);
    }
    let all = encode(&tokenizer, &messages, spec(Learned::All, true));
    assert_eq!(
        all,
        tokenizer.render(&chat(&messages).messages, false).unwrap()
    );
    let without_ends = encode(&tokenizer, &messages, spec(Learned::All, false));
    assert_eq!(
        without_ends.matches("<|im_end|>").count(),
        3,
        "{without_ends}"
    );
    assert_eq!(encode(&tokenizer, &messages[..2], ASSISTANT), "");
}

#[test]
fn the_text_is_tokenized_once_and_starts_like_its_prompt() {
    let tokenizer = load(&trained(400));
    let conversation = chat(&[("user", "the answer is"), ("assistant", "the answer")]);
    let encoded = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap();
    assert_eq!(
        encoded.ids,
        tokenizer
            .encode(
                &tokenizer.render(&conversation.messages, false).unwrap(),
                false
            )
            .unwrap()
    );
    let prompt = tokenizer
        .render_prompt_ids(&conversation.messages[..1])
        .unwrap();
    assert!(encoded.ids.starts_with(&prompt));
    assert_eq!(
        encoded.learn.iter().position(|learn| *learn),
        Some(prompt.len())
    );
}

#[test]
fn characters_of_several_tokens_are_learned_whole() {
    let (_dir, tokenizer) = with_template(
        &[],
        "{% for m in messages %}{% if m.role == 'user' %}👤{{ m.content }}🙂{% else %}{{ m.content }}🙃{% endif %}{% endfor %}",
    );
    let messages = [
        ("user", "é👩‍👩‍👧"),
        ("assistant", "🏳️‍🌈日é"),
        ("user", "日"),
        ("assistant", "👍🏽"),
    ];
    assert_eq!(encode(&tokenizer, &messages, WITHOUT_EOS), "🏳️‍🌈日é|👍🏽");
    let encoded = tokenizer
        .encode_conversation(&chat(&messages), WITHOUT_EOS)
        .unwrap();
    assert_eq!(encoded.ids.len(), encoded.learn.len());
    assert_eq!(encoded.learned(), "🏳️‍🌈日é👍🏽".len());
}

#[test]
fn awkward_answers_are_learned_as_they_are() {
    let tokenizer = load(&trained(300));
    let answers = [
        "",
        " ",
        "\n\n",
        "a<|im_end|>b",
        "standin0standin",
        "hi",
        "<|im_start|>assistant\nhi",
        "\u{301}e\u{200d}",
        "\r\n x \u{a0}",
    ];
    for answer in answers {
        for next in [None, Some(("user", "hi"))] {
            let messages: Vec<_> = [("user", "hi"), ("assistant", answer)]
                .into_iter()
                .chain(next)
                .collect();
            assert_eq!(
                encode(&tokenizer, &messages, ASSISTANT),
                format!("{answer}<|im_end|>"),
                "{answer:?}"
            );
        }
    }
}

#[test]
fn a_token_across_the_border_counts_by_its_first_byte() {
    // ` answer` is one token of the trained vocabulary; the template's own space makes it start outside.
    let dir = trained(600);
    let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
                  {% if add_generation_prompt %}assistant: {% endif %}";
    std::fs::write(dir.path().join("chat_template.jinja"), source).unwrap();
    let tokenizer = load(&dir);
    let space_answer = tokenizer.encode(" answer", false).unwrap();
    assert_eq!(space_answer.len(), 1);
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "is"), ("assistant", "answer is 4")],
            WITHOUT_EOS
        ),
        " is 4"
    );
}

#[test]
fn thinking_that_a_template_strips_from_history_is_not_learned() {
    let Some(root) = shared("chat_templates/trl") else {
        return;
    };
    let source = std::fs::read_to_string(root.join("qwen3.jinja")).unwrap();
    let (_dir, tokenizer) = with_template(&["<|im_start|>", "<|im_end|>"], &source);
    let first = "<think>\nlong\n</think>\n\nfour";
    let messages = [
        ("user", "2+2"),
        ("assistant", first),
        ("user", "3+3"),
        ("assistant", "<think>\nhm\n</think>\n\nsix"),
    ];
    assert_eq!(
        encode(&tokenizer, &messages, ASSISTANT),
        "four<|im_end|>|<think>\nhm\n</think>\n\nsix<|im_end|>"
    );
    // Without thoughts the template writes empty ones, which the model has to write as well.
    assert_eq!(
        encode(&tokenizer, &messages[..2], ASSISTANT),
        format!("{first}<|im_end|>")
    );
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "2+2"), ("assistant", "four")],
            ASSISTANT
        ),
        "<think>\n\n</think>\n\nfour<|im_end|>"
    );
}

#[test]
fn tool_calls_are_learned_and_tool_results_are_not() {
    let Some(root) = shared("chat_templates/trl") else {
        return;
    };
    let source = std::fs::read_to_string(root.join("qwen2_5.jinja")).unwrap();
    let (_dir, tokenizer) = with_template(&["<|im_start|>", "<|im_end|>"], &source);
    let conversation: Conversation = serde_json::from_value(serde_json::json!({
        "messages": [
            {"role": "user", "content": "weather in Ulm?"},
            {"role": "assistant", "content": "", "tool_calls": [
                {"type": "function", "function": {"name": "weather", "arguments": {"city": "Ulm"}}}
            ]},
            {"role": "tool", "content": "rain"},
            {"role": "assistant", "content": "It rains."},
        ],
        "tools": [{"type": "function", "function": {"name": "weather"}}],
    }))
    .unwrap();
    let encoded = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap();
    assert_eq!(
        learned(&tokenizer, &encoded),
        "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\"}}\n</tool_call><|im_end|>|It rains.<|im_end|>"
    );
    assert!(
        tokenizer
            .decode(&encoded.ids, false)
            .unwrap()
            .contains("# Tools")
    );
}

#[test]
fn an_answer_without_an_end_is_refused() {
    let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
    let (_dir, tokenizer) = with_template(&[], source);
    let conversation = chat(&[("user", "hi"), ("assistant", "hello")]);
    let error = tokenizer
        .encode_conversation(&conversation, ASSISTANT)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the chat template writes nothing after the last learned message, needed an end-of-turn token that the tokenizer knows"
    );
    assert!(error.hint().unwrap().contains("`</s>`"), "{error:?}");
    // The template ignores `add_generation_prompt`: its own header is not part of the answer.
    assert_eq!(
        encode(
            &tokenizer,
            &[("user", "hi"), ("assistant", "hello")],
            WITHOUT_EOS
        ),
        " hello"
    );
}

#[test]
fn an_end_that_the_tokenizer_does_not_know_is_refused() {
    let source = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|eot|>\n{% endfor %}";
    let (_dir, tokenizer) = with_template(&[], source);
    for messages in [
        &[("user", "hi"), ("assistant", "hello")][..],
        &[("assistant", "hello"), ("user", "hi")],
    ] {
        let error = tokenizer
            .encode_conversation(&chat(messages), ASSISTANT)
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the chat template writes `<|eot|>"),
            "{error}"
        );
    }
    assert_eq!(tokenizer.stop_ids(), [260]);
}

#[test]
fn a_place_that_is_not_certain_is_refused() {
    let conversation = chat(&[("user", "hi"), ("assistant", "hello"), ("user", "again")]);
    let refused = |source: &str| {
        let (_dir, tokenizer) = with_template(&[], source);
        match tokenizer.encode_conversation(&conversation, WITHOUT_EOS) {
            Err(TextError::UnlocatedMessage { index, reason }) => format!("{index}: {reason}"),
            other => panic!("{other:?}"),
        }
    };
    let each = |body: &str| format!("{{% for m in messages %}}{body}{{% endfor %}}");
    let twice = each("{{ m.content }}{{ m.content }}");
    assert_eq!(
        refused(&twice),
        "1: the template writes its content more than once"
    );
    let dropped = "1: the template leaves its content out, or changes it";
    assert_eq!(refused("{{ messages[0].content }}"), dropped);
    assert_eq!(refused(&each("{{ m.content|upper }}")), dropped);
    let replaced = each("{{ m.content.replace('hello', 'bye') }}");
    assert_eq!(refused(&replaced), "1: the template changes its content");
    let counted = each("{{ m.content }}{{ m.content|length }}");
    assert_eq!(
        refused(&counted),
        "1: the text after it depends on its content"
    );
    let measured = "{{ messages[1].content|length }}".to_string() + &each("{{ m.content }}");
    assert_eq!(
        refused(&measured),
        "1: the text before it depends on its content"
    );
}

#[test]
fn messages_without_a_template_are_refused_with_a_hint() {
    let tokenizer = load(&bytes_with(&[]));
    assert!(!tokenizer.has_template());
    let error = tokenizer
        .render(&[Message::new("user", "hi")], true)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has no chat template, needed one for messages"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("model.chat_template = \"file.jinja\"")
    );
}
