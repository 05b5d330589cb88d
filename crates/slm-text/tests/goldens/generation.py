"""Which characters `{% generation %}` blocks write, and what lists of parts render as: generation.json. Needs transformers 5.23.0."""

import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent


def text(*parts):
    return [{"type": "text", "text": part} for part in parts]


CASES = {
    "turns": [
        {"role": "user", "content": "What is 2+2? – Köln"},
        {"role": "assistant", "content": "It is four. 🌧️"},
        {"role": "user", "content": "And 3+3?"},
        {"role": "assistant", "content": "Six", "note": "x"},
    ],
    "thoughts": [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4", "reasoning": "easy"},
        {"role": "user", "content": "3+3?"},
        {"role": "assistant", "content": "6", "reasoning_content": "hm"},
    ],
    "one": [{"role": "user", "content": "a"}, {"role": "assistant", "content": " b\n"}],
    "unanswered": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
    "parts": [
        {"role": "user", "content": text("one ", "two")},
        {"role": "assistant", "content": text("three")},
    ],
}


def main():
    results = []
    for path in sorted((HERE / "generation").glob("*.jinja")):
        for name, messages in CASES.items():
            result = {"template": path.name, "case": name}
            try:
                rendered, indices = render_jinja_template(
                    [messages], chat_template=path.read_text(), return_assistant_tokens_mask=True,
                    bos_token="<s>", eos_token="</s>",
                )
                result |= {"rendered": rendered[0], "blocks": indices[0]}
            except Exception as error:
                result["error"] = type(error).__name__
            results.append(result)
    out = {"cases": CASES, "results": results}
    (HERE / "generation.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
