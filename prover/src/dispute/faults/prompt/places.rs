//! Places of prompt tokens in their payload (`prover/SPEC.md` section 10.2).

use crate::Error;
use crate::constants::TOKEN_LEAF_ELEMENTS;

/// Where a token stands: `within` bytes into the text, with the space put before it, of the segment whose header is at byte `header`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Offset of the segment's header in the payload; 0 for the BOS that a prompt starts with.
    pub header: u32,
    /// Bytes into the text; [`Place::SPACE`] is set when a space is put before the segment's text.
    pub within: u32,
}

impl Place {
    /// Bit of `within`: the segment's text has a space put before it.
    pub const SPACE: u32 = 1 << 31;
    /// Bytes of a place in contents.
    pub const BYTES: usize = 8;
    /// Of the BOS that a prompt starts with.
    pub const BOS: Place = Place {
        header: 0,
        within: 0,
    };

    /// Bytes into the text.
    #[must_use]
    pub const fn offset(self) -> usize {
        (self.within & !Place::SPACE) as usize
    }

    /// Whether the segment's text has a space put before it.
    #[must_use]
    pub const fn has_space(self) -> bool {
        self.within & Place::SPACE != 0
    }

    /// Place number `slot` of contents.
    #[must_use]
    pub fn read(contents: &[u8], slot: usize) -> Option<Place> {
        let start = slot.checked_mul(Place::BYTES)?;
        let bytes = contents.get(start..)?.first_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *bytes;
        Some(Place {
            header: u32::from_be_bytes([a, b, c, d]),
            within: u32::from_be_bytes([e, f, g, h]),
        })
    }

    /// Appends the place to contents.
    pub fn write(self, contents: &mut Vec<u8>) {
        contents.extend(self.header.to_be_bytes());
        contents.extend(self.within.to_be_bytes());
    }
}

fn contents<'a>(places: impl Iterator<Item = &'a Place>) -> Vec<u8> {
    let mut out = Vec::new();
    places.for_each(|place| place.write(&mut out));
    out
}

/// Contents of the node `prompt`: the first place of every leaf.
#[must_use]
pub fn prompt_contents(places: &[Place]) -> Vec<u8> {
    contents(places.iter().step_by(TOKEN_LEAF_ELEMENTS))
}

/// Contents of the node `starts` of leaf number `leaf`; empty for a leaf without prompt tokens.
#[must_use]
pub fn starts_contents(places: &[Place], leaf: u32) -> Vec<u8> {
    let leaf = places.chunks(TOKEN_LEAF_ELEMENTS).nth(leaf as usize);
    contents(leaf.unwrap_or_default().iter())
}

/// Bytes of the node `prompt` of a run.
#[must_use]
pub const fn prompt_length(n_prompt: u32) -> usize {
    Place::BYTES * (n_prompt as usize).div_ceil(TOKEN_LEAF_ELEMENTS)
}

/// Bytes of the node `starts` of leaf number `leaf`; 0 when the run has no such node.
#[must_use]
pub const fn starts_length(n_prompt: u32, leaf: u32) -> usize {
    let left = (n_prompt as usize).saturating_sub(leaf as usize * TOKEN_LEAF_ELEMENTS);
    Place::BYTES
        * if left < TOKEN_LEAF_ELEMENTS {
            left
        } else {
            TOKEN_LEAF_ELEMENTS
        }
}

/// Contents of the node `malformed`: the headers up to the first control segment whose token `is_control` refuses.
///
/// # Errors
/// [`Error::Mismatch`] for a payload that is not malformed; [`Error::MalformedPayload`] for one that no inbox takes.
pub fn malformed_contents(
    payload: &[u8],
    is_control: &dyn Fn(u32) -> bool,
) -> Result<Vec<u8>, Error> {
    let layout = super::Layout::of(payload, 0)?;
    let bad = |segment: &super::layout::Segment| match segment.kind {
        super::layout::Kind::Control(id) => !is_control(id),
        super::layout::Kind::Text(_) => false,
    };
    let Some(last) = layout.segments().iter().position(bad) else {
        return Err(Error::Mismatch {
            what: "control segments with a token that is none",
            found: 0,
            expected: 1,
        });
    };
    let headers = layout.segments()[..=last]
        .iter()
        .map(|segment| segment.header);
    let mut contents = (last as u32 + 1).to_be_bytes().to_vec();
    headers.for_each(|header| contents.extend(header.to_be_bytes()));
    Ok(contents)
}
