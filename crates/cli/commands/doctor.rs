//! `slm-tune doctor`: what this machine and this binary can do.

use std::{io::Write, path::Path};

use serde_json::json;
use slm_model::{device, gpu};

use crate::{
    args::JsonArguments,
    graphics,
    machine::Machine,
    table::{Table, size},
    terminal::Terminal,
};

pub(crate) fn run(output: JsonArguments, terminal: &mut Terminal) -> anyhow::Result<()> {
    let machine = Machine::look(Path::new("."));
    let backends = device::available();
    let gpus = gpu::report();
    let engines = slm_dist::engines();
    if output.json {
        return terminal.json(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "features": machine.features,
            "libtorch": machine.libtorch,
            "os": machine.os,
            "cpu": machine.cpu,
            "cores": machine.cores,
            "memory_bytes": machine.memory_bytes,
            "memory_available_bytes": machine.memory_available_bytes,
            "disk_available_bytes": machine.disk_available_bytes,
            "backends": backends,
            "gpu": gpus,
            "engines": engines,
        }));
    }
    let known = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), size);
    let (free, all) = (machine.memory_available_bytes, machine.memory_bytes);
    let disk = machine.disk_available_bytes;
    let mut table = Table::new(&[]);
    table.row(["slm-tune".into(), env!("CARGO_PKG_VERSION").into()]);
    table.row(["features".into(), machine.features.join(", ")]);
    for row in graphics::rows(&gpus, machine.libtorch) {
        table.row(row);
    }
    let processes = match engines.is_empty() {
        true => "one".into(),
        false => format!("any number, by {}", engines.join(" and ")),
    };
    table.row(["processes".into(), processes]);
    table.row(["system".into(), machine.os]);
    table.row(["processor".into(), machine.cpu]);
    table.row(["cores".into(), machine.cores.to_string()]);
    table.row([
        "memory".into(),
        format!("{} free of {}", known(free), known(all)),
    ]);
    table.row([
        "disk".into(),
        format!("{} free for this folder", known(disk)),
    ]);
    table.write(&mut terminal.out)?;
    writeln!(terminal.out)?;
    let mut table = Table::new(&["device", "built", "usable", "what it is"]);
    let yes = |it: bool| if it { "yes" } else { "no" }.to_owned();
    for backend in backends {
        table.row([
            backend.spec,
            yes(backend.built),
            yes(backend.usable),
            backend.note,
        ]);
    }
    table.write(&mut terminal.out)?;
    Ok(())
}
