//! JUnit XML, as CI servers read it: a suite for each task, a case for each gate.

use std::io;
use std::path::Path;

use anyhow::Result;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use slm_eval::GateReport;
use slm_metrics::gate::Verdict;
use slm_recipe::OnInconclusive;

use super::Line;

/// An inconclusive gate is a failure, or skipped where it counts as passed.
pub(super) fn text(report: &GateReport, lines: &[Line], run: &Path) -> Result<String> {
    let mut tasks: Vec<&str> = Vec::new();
    for gate in &report.gates {
        if !tasks.contains(&gate.task.as_str()) {
            tasks.push(&gate.task);
        }
    }
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = format!("slm-tune gate {}", run.display());
    let counts = counts(report, |_| true);
    writer
        .create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attributes(counts.attributes())
        .write_inner_content(|writer| {
            tasks
                .iter()
                .try_for_each(|task| suite(writer, report, lines, task))
        })?;
    let mut text = String::from_utf8(writer.into_inner())?;
    text.push('\n');
    Ok(text)
}

fn suite(
    writer: &mut Writer<Vec<u8>>,
    report: &GateReport,
    lines: &[Line],
    task: &str,
) -> io::Result<()> {
    let counts = counts(report, |of| of == task);
    writer
        .create_element("testsuite")
        .with_attribute(("name", task))
        .with_attributes(counts.attributes())
        .write_inner_content(|writer| {
            let gates = report.gates.iter().zip(lines);
            gates
                .filter(|(gate, _)| gate.task == task)
                .try_for_each(|(gate, line)| case(writer, fate(gate.verdict, report), task, line))
        })?;
    Ok(())
}

fn case(writer: &mut Writer<Vec<u8>>, fate: Fate, task: &str, line: &Line) -> io::Result<()> {
    let class = format!("slm-tune.gate.{task}");
    let case = writer
        .create_element("testcase")
        .with_attribute(("name", line.title.as_str()))
        .with_attribute(("classname", class.as_str()))
        .with_attribute(("time", "0"));
    let element = match fate {
        Fate::Passed => {
            case.write_inner_content(|writer| {
                let out = writer.create_element("system-out");
                out.write_text_content(BytesText::new(&line.sentence))?;
                Ok(())
            })?;
            return Ok(());
        }
        Fate::Failed => "failure",
        Fate::Skipped => "skipped",
    };
    case.write_inner_content(|writer| {
        writer
            .create_element(element)
            .with_attribute(("message", line.sentence.as_str()))
            .with_attribute(("type", line.verdict.to_string().as_str()))
            .write_empty()?;
        Ok(())
    })?;
    Ok(())
}

/// What a CI server calls a verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passed,
    Failed,
    Skipped,
}

fn fate(verdict: Verdict, report: &GateReport) -> Fate {
    match (verdict, report.on_inconclusive) {
        (Verdict::Pass, _) => Fate::Passed,
        (Verdict::Inconclusive, OnInconclusive::Pass) => Fate::Skipped,
        _ => Fate::Failed,
    }
}

/// Gates, failed ones and skipped ones.
struct Counts([String; 3]);

impl Counts {
    fn attributes(&self) -> [(&str, &str); 4] {
        let Self([tests, failures, skipped]) = self;
        [
            ("tests", tests),
            ("failures", failures),
            ("errors", "0"),
            ("skipped", skipped),
        ]
    }
}

fn counts(report: &GateReport, is_counted: impl Fn(&str) -> bool) -> Counts {
    let counted = report.gates.iter().filter(|gate| is_counted(&gate.task));
    let fates: Vec<Fate> = counted.map(|gate| fate(gate.verdict, report)).collect();
    let of = |fate| fates.iter().filter(|it| **it == fate).count();
    Counts([fates.len(), of(Fate::Failed), of(Fate::Skipped)].map(|count| count.to_string()))
}
