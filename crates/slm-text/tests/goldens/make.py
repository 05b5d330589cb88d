"""Renders templates/*.jinja with jinja2 set up as transformers does it, into renderings.json. Needs jinja2 3.1.6."""

import datetime
import json
import pathlib

import jinja2
import jinja2.ext
import jinja2.sandbox

HERE = pathlib.Path(__file__).parent
DAY = datetime.datetime(2024, 7, 26)


class Generation(jinja2.ext.Extension):
    """`{% generation %}` blocks, rendered as their body."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(lineno)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = DAY.strftime
    return env


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a <city> & \"now\"",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "default": 1}, "unit": {"enum": ["°C", "°F"]}},
            "required": ["city"],
        },
    },
}
CALL = {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2, "exact": True, "scale": 1.0}}}
WEATHER = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "  Weather in Köln? "},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "{\"sky\": \"rain\"}", "name": "get_weather", "tool_call_id": "call00001"},
    {"role": "assistant", "content": "Rain 🌧️."},
    {"role": "user", "content": "Thanks"},
]
THOUGHTS = [
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "<think>\neasy\n</think>\n\n4"},
    {"role": "user", "content": "3+3?"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n\n6"},
]
CASES = [
    {"name": "tools", "messages": WEATHER, "tools": [TOOL], "extra": {}},
    {"name": "tools-in-history", "messages": WEATHER, "tools": None, "extra": {}},
    {"name": "thoughts", "messages": THOUGHTS, "tools": None, "extra": {}},
    {"name": "no-thinking", "messages": THOUGHTS[:1], "tools": None, "extra": {"enable_thinking": False}},
    {"name": "roles", "messages": [{"role": "assistant", "content": "hi"}], "tools": None, "extra": {}},
    {"name": "none", "messages": [{"role": "user", "content": ""}], "tools": None, "extra": {}},
]


def main():
    results = []
    for path in sorted((HERE / "templates").glob("*.jinja")):
        template = environment().from_string(path.read_text())
        for case in CASES:
            for prompt in [False, True]:
                result = {"template": path.name, "case": case["name"], "add_generation_prompt": prompt}
                try:
                    result["rendered"] = template.render(
                        messages=case["messages"], tools=case["tools"], documents=None, add_generation_prompt=prompt,
                        bos_token="<s>", eos_token="</s>", **case["extra"],
                    )
                except Exception as error:
                    result["error"] = f"{type(error).__name__}: {error}"
                results.append(result)
    out = {"cases": CASES, "renderings": results}
    (HERE / "renderings.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
