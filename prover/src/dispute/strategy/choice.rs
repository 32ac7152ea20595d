//! A token that is not one's own after a trace that is.

use super::Move;
use super::run::{RunDispute, number};
use super::step::{nothing, prove};
use super::view::NodeView;
use crate::Error;
use crate::constants::TOKEN_LEAF_ELEMENTS;
use crate::dispute::faults::selection::find::Finding;
use crate::dispute::faults::selection::{self, Rule};
use crate::dispute::position::{NodeKind, Position};
use crate::dispute::source::TraceSource;

impl RunDispute<'_> {
    /// The trace is the same up to a token that is not: its choice is wrong.
    pub(super) fn choice(&self, place: u32, source: &mut dyn TraceSource) -> Result<Move, Error> {
        let index = place / TOKEN_LEAF_ELEMENTS as u32;
        let leaf = match self.list_leaf(NodeKind::Tokens, index.into())? {
            Ok(leaf) => leaf,
            Err(act) => return Ok(act),
        };
        let to_root =
            self.claimed_list(NodeKind::Tokens, |tree| tree.open_to_root(index.into()))?;
        let within = 4 * (place as usize % TOKEN_LEAF_ELEMENTS);
        let claimed = leaf.bytes.get(within..within + 4).map_or(0, number);
        let rule = Rule {
            params: self.answer.input.params,
            seed: self.answer.input.seed.0,
            run: self.run,
            place,
        };
        let site = selection::Site::of(&self.model.layout, place)?;
        let mut under = leaf.node;
        let mut selection: Option<&NodeView> = None;
        let mut finding = site.find_in_token(&mut *source, &rule, claimed, &leaf.in_node)?;
        loop {
            let position = Position {
                index: place.into(),
                ..Position::tree(NodeKind::Selection, self.lane, self.run, 0, 0)
            };
            match finding {
                Finding::Nothing => return Err(nothing("the token is rightly chosen")),
                Finding::Fault { code, witness } => {
                    return Ok(prove(under.key, code, witness));
                }
                Finding::OpenSelection => {
                    under = match self.posted(under.key, position) {
                        Ok(node) => node,
                        Err(act) => return Ok(act),
                    };
                    selection = Some(under);
                    let contents = under.posted().unwrap_or_default();
                    finding =
                        site.find_in_selection(&mut *source, &rule, claimed, &to_root, contents)?;
                }
                Finding::OpenGroup { component, group } => {
                    let position = Position {
                        kind: NodeKind::Group,
                        a: component,
                        b: group,
                        ..position
                    };
                    let Some(parent) = selection.and_then(NodeView::posted) else {
                        return Err(nothing("a group without a selection"));
                    };
                    under = match self.posted(under.key, position) {
                        Ok(node) => node,
                        Err(act) => return Ok(act),
                    };
                    finding = site.find_in_group(
                        &mut *source,
                        &rule,
                        claimed,
                        &to_root,
                        parent,
                        (component, group),
                        under.posted().unwrap_or_default(),
                    )?;
                }
            }
        }
    }
}
