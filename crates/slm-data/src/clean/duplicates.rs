//! Rows that say the same as another.

use std::cmp::Reverse;

use slm_recipe::{CleanSection, Dedup};

use super::CleanStep;
use crate::error::DataError;
use crate::near::Candidates;
use crate::plan::Draft;
use crate::survey::{Equal, place_in};

/// Bytes of a key of [`Equal`].
const KEY: usize = 16;

/// Of rows that are equal, the one stays whose file comes first by name; of those in one file, a hash of group and slices decides. So
/// it depends on what rows say, not on their order.
pub(crate) fn equal_ones(equal: Equal, draft: &mut Draft) -> Result<(), DataError> {
    equal.each_group(KEY, &mut |group| {
        let places = group.iter().map(|record| place_in(record, KEY));
        let places: Vec<usize> = places.filter(|at| draft.is_kept(*at)).collect();
        let first = places.iter().min_by_key(|at| draft.facts.rank(**at));
        if let Some(stays) = first.copied() {
            for at in places.into_iter().filter(|at| *at != stays) {
                draft.leave_out(at, CleanStep::Exact, Some((stays, 1.0)));
            }
        }
        Ok(())
    })
}

/// Longer rows stay before shorter ones; a row goes if it and its answer are near to one that stays. A near-duplicate with
/// another answer is no duplicate: it teaches something else.
pub(crate) fn near_ones(
    section: &CleanSection,
    candidates: Option<&Candidates>,
    draft: &mut Draft,
) -> Result<(), DataError> {
    let Some(candidates) = candidates.filter(|_| section.dedup == Dedup::Minhash) else {
        return Ok(());
    };
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let chars = |at: usize| draft.facts.chars[candidates.place(at)];
    order.sort_by_key(|at| (Reverse(chars(*at)), candidates.digest(*at)));
    let mut rank = vec![0; order.len()];
    for (place, at) in order.iter().enumerate() {
        rank[*at] = place;
    }
    // Those that stay so far, of which a row is compared with the ones in its groups.
    let mut stays = vec![false; order.len()];
    for at in order {
        let mut others = candidates.together_with(at);
        others.retain(|other| stays[*other]);
        // Of the most similar ones the first, in the order of what they say.
        others.sort_unstable_by_key(|other| rank[*other]);
        let most = candidates.most_similar(at, &others)?;
        stays[at] = most.is_none();
        if let Some((other, similarity)) = most {
            let like = Some((candidates.place(other), similarity));
            draft.leave_out(candidates.place(at), CleanStep::Near, like);
        }
    }
    Ok(())
}
