//! What is made on training rows: folders in codes, and how much columns matter.

use slm_recipe::{CompressedScheme, ExportSection};
use slm_run::Event;

use super::{Request, Walk};
use crate::calibration::Calibration;
use crate::compression::Compression;
use crate::importance::Importance;
use crate::{CalibrationSize, ExportError, folders};

impl Walk<'_, '_> {
    pub(super) fn compressed(&mut self, scheme: CompressedScheme) -> Result<(), ExportError> {
        let mut rows = Calibration::default();
        if scheme.is_corrected() {
            rows = self.observe(scheme.name())?;
        }
        let compression = Compression::of(self.trained.merged(), scheme, &rows)?;
        if let Some(text) = compression.remark() {
            (self.emit)(Event::Note { text });
        }
        let name = scheme.name();
        let dir = folders::compressed(self.trained, &compression, self.request, self.at(name))?;
        self.keep_folder(dir, name)
    }

    /// Warns of rules without effect, and reads or measures what matters, which is written beside the files.
    pub(super) fn prepare_quantization(&mut self) -> Result<(), ExportError> {
        let Request { section, name, .. } = *self.request;
        for rule in self.quantization.unmet(self.trained.merged()) {
            let text = format!("`export.tensor_types`: no tensor of this model is met by `{rule}`");
            (self.emit)(Event::Warning { text });
        }
        self.quantization.importance = match section.imatrix.as_deref() {
            Some(ExportSection::OWN_ROWS) => {
                let file_name = format!("{name}.imatrix.gguf");
                let rows = self.observe(&file_name)?;
                let path = self.request.out.join(&file_name);
                let merged = self.trained.merged();
                let importance = Importance::measure(merged, &rows, name, &file_name)?;
                importance.write(&path)?;
                self.kept.push(file_name);
                Some(importance)
            }
            Some(file) => Some(Importance::read(file)?),
            None => None,
        };
        Ok(())
    }

    /// The rows for `file`, which is told and kept for `export.json`.
    fn observe(&mut self, file: &str) -> Result<Calibration, ExportError> {
        let config = self.trained.merged().config();
        let rows = Calibration::of(self.request.calibration, config)?;
        let size = rows.size();
        self.calibration = Some(size);
        let CalibrationSize { rows: n, tokens } = size;
        let text = format!("`{file}` is made on {n} training rows ({tokens} tokens)");
        (self.emit)(Event::Note { text });
        Ok(rows)
    }
}
