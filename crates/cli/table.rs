//! Aligned tables for people.

use std::io::{self, Write};

/// Rows of text in columns as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table whose first row is `header`; no header line if it is empty.
    pub(crate) fn new(header: &[&str]) -> Self {
        let header: Vec<String> = header.iter().map(|cell| cell.to_string()).collect();
        Self {
            rows: if header.is_empty() {
                Vec::new()
            } else {
                vec![header]
            },
            right: Vec::new(),
        }
    }

    /// Sets columns, counted from 0, flush right: those that hold numbers.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    pub(crate) fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.rows.push(cells.into());
    }

    /// Writes the table, two spaces between columns and none at the end of a line.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let widths = self.widths();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                if self.right.contains(&column) {
                    line += &format!("{gap}{cell}  ");
                } else {
                    line += &format!("{cell}{gap}  ");
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect()
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A figure with four decimals; `-` for one that was not measured.
pub(crate) fn figure(value: f64) -> String {
    match value.is_nan() {
        true => "-".into(),
        // Plus 0.0: what rounds to zero has no sign.
        false => format!("{:.4}", (1e4 * value).round() / 1e4 + 0.0),
    }
}

/// A share of 1 in per cent; `-` for one that was not measured.
pub(crate) fn percent(share: f64) -> String {
    match share.is_nan() {
        true => "-".into(),
        false => format!("{:.1} %", 100.0 * share),
    }
}

/// Bytes in the unit in which they have one to three digits before the point.
pub(crate) fn size(size_bytes: u64) -> String {
    let mut value = size_bytes as f64;
    for unit in ["B", "KB", "MB", "GB"] {
        if value < 1000.0 {
            let decimals = usize::from(unit != "B" && value < 100.0);
            return format!("{value:.decimals$} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// Seconds as `0.3s`, `42s`, `3m 05s` or `2h 04m`.
pub(crate) fn duration(elapsed_s: f64) -> String {
    if elapsed_s < 9.95 {
        return format!("{:.1}s", elapsed_s.max(0.0));
    }
    let seconds = elapsed_s.max(0.0).round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_spaces() {
        let mut table = Table::new(&["name", "rows"]).right(&[1]);
        table.row(["a".into(), "10".into()]);
        table.row(["größe".into(), "1,000".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "name    rows\na         10\ngröße  1,000\n");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(
            (figure(0.5), figure(f64::NAN)),
            ("0.5000".into(), "-".into())
        );
        assert_eq!(
            (percent(0.612), percent(f64::NAN)),
            ("61.2 %".into(), "-".into())
        );
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_500), "1.5 KB");
        assert_eq!(size(8_123_456), "8.1 MB");
        assert_eq!(size(812_345_678), "812 MB");
        assert_eq!(duration(0.26), "0.3s");
        assert_eq!(duration(9.96), "10s");
        assert_eq!(duration(59.4), "59s");
        assert_eq!(duration(185.0), "3m 05s");
        assert_eq!(duration(7_440.0), "2h 04m");
    }
}
