//! Temporary: until the engine is merged.
use super::*;
/// How models are run.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {}
/// Temporary.
#[derive(Debug)]
pub struct ServedModel {}
impl ServedModel {
    /// Temporary.
    pub fn open(
        _: &std::path::Path,
        _: &ServeOptions,
        _: &mut dyn FnMut(u64, u64),
    ) -> Result<ServedModel, MachineError> {
        Err(MachineError::Inference(sworn_inference::Error::Cancelled))
    }
}
impl Machine for ServedModel {
    fn card(&self) -> &ServedCard {
        unimplemented!()
    }
    fn answer(&self, _: &StoredInput, _: B256, _: OnToken<'_>) -> Result<Answer, MachineError> {
        unimplemented!()
    }
}
