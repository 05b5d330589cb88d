//! A measurement for people.

use std::io::Write;

use anyhow::Result;
use slm_model::device::DeviceMemory;

use super::{GenerationSpeed, Speed, TrainingSpeed};
use crate::table::{Table, percent, size, thousands};

impl Speed {
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<()> {
        let mut table = Table::new(&[]);
        table.row(["device".into(), self.device.clone()]);
        let (all, trained) = (self.parameters, self.trained_parameters);
        let parameters = format!("{}, {} trained", thousands(all), thousands(trained));
        table.row(["parameters".into(), parameters]);
        if let Some(training) = &self.training {
            table.row(["steps".into(), self.steps(training)]);
            table.row(["tokens/s".into(), training.tokens()]);
            table.row(["GFLOP/s".into(), training.work(self.matmul_flops)]);
        }
        if let Some(peak) = self.device_peak {
            table.row(["GPU memory".into(), of_gpu(peak, self.expected_bytes)]);
        }
        table.row(["memory".into(), self.memory()]);
        for it in &self.generation {
            table.row(["generation".into(), it.text()]);
        }
        table.write(out)?;
        if let Some(training) = &self.training {
            writeln!(out)?;
            training.parts().write(out)?;
        }
        Ok(())
    }

    fn steps(&self, training: &TrainingSpeed) -> String {
        let shape = self.workload;
        let rows = match shape.length {
            Some(length) => format!("{} random rows of {length} tokens", shape.batch),
            None => format!("{} rows", shape.batch),
        };
        let times = match shape.micro_batches {
            1 => String::new(),
            n => format!("{n} times "),
        };
        format!("{} of {times}{rows}", training.steps.len())
    }

    fn memory(&self) -> String {
        let known = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), size);
        // On a GPU that is not the memory that was foretold.
        let expected = self.expected_bytes.filter(|_| self.device_peak.is_none());
        let expected = foretold(expected);
        format!(
            "{} at most{expected}, {} after loading ({:.1} s)",
            known(self.peak_bytes),
            known(self.loaded_peak_bytes),
            self.load_s
        )
    }
}

/// What a GPU held while it trained.
fn of_gpu(peak: DeviceMemory, expected: Option<usize>) -> String {
    format!(
        "{} at most{}, {} taken from the driver",
        size(peak.allocated_bytes),
        foretold(expected),
        size(peak.reserved_bytes)
    )
}

fn foretold(expected: Option<usize>) -> String {
    expected.map_or_else(String::new, |bytes| {
        format!(" ({} foretold)", size(bytes as u64))
    })
}

impl TrainingSpeed {
    fn tokens(&self) -> String {
        let (learned, read, all) = (
            self.learned_tokens_per_s,
            self.tokens_per_s,
            self.places_per_s,
        );
        let padding = percent(self.padding);
        format!("{learned:.1} learned, {read:.1} read, {all:.1} with {padding} of padding")
    }

    fn work(&self, matmul_flops: f64) -> String {
        format!(
            "{:.1} at {} per parameter and token, {} of the {:.1} of a product of matrices",
            self.flops / 1e9,
            self.flops_per_parameter,
            percent(self.share_of_matmul),
            matmul_flops / 1e9
        )
    }

    /// Where the time of a step goes.
    fn parts(&self) -> Table {
        let mut table = Table::new(&["part of a step", "ms", "share"]).right(&[1, 2]);
        let parts = [
            ("data", self.parts.data_s),
            ("forward", self.parts.forward_s),
            ("head and loss", self.parts.head_s),
            ("backward", self.parts.backward_s),
            ("optimizer", self.parts.optimizer_s),
            ("all (median)", self.median_step_s),
        ];
        for (name, part_s) in parts {
            let share = percent(part_s / self.median_step_s);
            table.row([name.into(), format!("{:.1}", 1000.0 * part_s), share]);
        }
        table
    }
}

impl GenerationSpeed {
    fn text(&self) -> String {
        let prompts = match self.rows {
            1 => "1 prompt".into(),
            n => format!("{n} prompts"),
        };
        format!(
            "{prompts} of {} tokens: {:.1} tokens/s read, {:.1} written",
            self.prompt, self.prefill_tokens_per_s, self.decode_tokens_per_s
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_measured_beside_what_was_foretold() {
        let peak = DeviceMemory {
            allocated_bytes: 10_878_653_440,
            reserved_bytes: 12_400_000_000,
        };
        assert_eq!(
            of_gpu(peak, Some(11_020_000_000)),
            "10.9 GB at most (11.0 GB foretold), 12.4 GB taken from the driver"
        );
        assert_eq!(
            of_gpu(peak, None),
            "10.9 GB at most, 12.4 GB taken from the driver"
        );
    }
}
