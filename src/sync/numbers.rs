//! Number collisions: which issue is called what once several claim one number.
//!
//! A pure function of the issues and the numbers their files carry, so all clones that hold the same files come to the
//! same numbers, also when two of them chose different new ones at first. Local tombstones play no part: a number that
//! only a tombstone still holds may be given. Renumbering files and links is the caller's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::schema::id::{Identity, IssueId};

/// An issue and the numbers it could keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Which issue.
    pub identity: Identity,
    /// The numbers that its files carry, or its record's where it has no file, in any order. May be empty.
    pub numbers: Vec<IssueId>,
}

/// Why no numbers could be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// An issue must have a new number, and the highest is taken.
    #[error("no issue number is left above {}", u32::MAX)]
    Exhausted,
}

/// Gives each issue its number (design section 4): in order of creation (ties by slug), each keeps the lowest number
/// that any of its files carries and that no earlier issue has taken, else gets the next above all numbers claimed or
/// given. The order of the claimants does not matter; an issue named twice is one issue with the numbers of both.
///
/// # Errors
/// [`AssignError::Exhausted`] if an issue needs a new number and one of the claimants holds [`u32::MAX`].
pub fn assign(claimants: &[Claimant]) -> Result<BTreeMap<Identity, IssueId>, AssignError> {
    let mut claims: BTreeMap<&Identity, BTreeSet<IssueId>> = BTreeMap::new();
    for claimant in claimants {
        claims.entry(&claimant.identity).or_default().extend(&claimant.numbers);
    }
    let mut highest = claims.values().filter_map(BTreeSet::last).max().map_or(0, |id| id.0);
    // new numbers lie above all claims, so only kept ones can be in anybody's way
    let mut taken = HashSet::new();
    let mut assigned = BTreeMap::new();
    for (identity, numbers) in claims {
        let number = if let Some(kept) = numbers.into_iter().find(|number| taken.insert(*number)) {
            kept
        } else {
            highest = highest.checked_add(1).ok_or(AssignError::Exhausted)?;
            IssueId(highest)
        };
        assigned.insert(identity.clone(), number);
    }
    Ok(assigned)
}

/// The numbers that issues claim, where two claim the same.
pub type Claims = BTreeMap<Identity, Vec<IssueId>>;

/// Whether any number is claimed twice, or any issue by two numbers.
#[must_use]
pub fn has_collision(claims: &Claims, holders: &BTreeMap<IssueId, Identity>) -> bool {
    let mut seen: HashMap<IssueId, &Identity> = HashMap::new();
    claims.iter().any(|(identity, numbers)| {
        numbers.len() != 1
            || numbers.iter().any(|number| {
                let held = holders.get(number).is_some_and(|holder| holder != identity && !claims.contains_key(holder));
                held || seen.insert(*number, identity).is_some_and(|other| other != identity)
            })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::id::Slug;

    fn identity(second: u32, slug: &str) -> Identity {
        let created_at = format!("2026-06-17T10:{:02}:{:02}Z", second / 60, second % 60).parse().unwrap();
        Identity { created_at, slug: Slug::from_title(slug) }
    }

    fn claimant(second: u32, slug: &str, numbers: &[u32]) -> Claimant {
        Claimant { identity: identity(second, slug), numbers: numbers.iter().copied().map(IssueId).collect() }
    }

    fn given(claimants: &[Claimant]) -> Vec<u32> {
        assign(claimants).unwrap().values().map(|id| id.0).collect()
    }

    #[test]
    fn the_earlier_issue_keeps_the_number() {
        // claimants in order of creation, and what they get
        for (claims, numbers) in [
            (&[&[12][..], &[12]][..], &[12, 13][..]),
            (&[&[12], &[13]], &[12, 13]),
            (&[&[15], &[12]], &[15, 12]),
            // an issue with several files keeps the lowest that is free
            (&[&[12, 15]], &[12]),
            (&[&[12], &[15, 12, 16]], &[12, 15]),
            (&[&[12], &[12, 12]], &[12, 13]),
            // a new number is above everything claimed, also by later issues
            (&[&[1], &[1], &[2]], &[1, 3, 2]),
            (&[&[1], &[1], &[1], &[7]], &[1, 8, 9, 7]),
            (&[&[], &[3]], &[4, 3]),
            (&[&[]], &[1]),
            (&[&[0], &[0]], &[0, 1]),
            (&[], &[]),
            (&[&[u32::MAX], &[2]], &[u32::MAX, 2]),
        ] {
            let claimants: Vec<_> =
                claims.iter().zip(1..).map(|(numbers, second)| claimant(second, "", numbers)).collect();
            assert_eq!(given(&claimants), numbers, "{claims:?}");
        }
    }

    #[test]
    fn issues_of_one_time_are_ordered_by_slug() {
        assert_eq!(given(&[claimant(1, "b", &[12]), claimant(1, "a", &[12])]), [12, 13]);
        assert_eq!(assign(&[claimant(1, "b", &[5]), claimant(1, "a", &[5])]).unwrap()[&identity(1, "a")], IssueId(5));
    }

    #[test]
    fn an_issue_named_twice_is_one() {
        assert_eq!(given(&[claimant(1, "a", &[7]), claimant(2, "b", &[5]), claimant(1, "a", &[6])]), [6, 5]);
    }

    #[test]
    fn running_out_of_numbers_is_an_error() {
        let claims = [claimant(1, "", &[u32::MAX]), claimant(2, "", &[u32::MAX])];
        assert_eq!(assign(&claims), Err(AssignError::Exhausted));
        assert_eq!(
            given(&[claimant(1, "", &[u32::MAX - 1]), claimant(2, "", &[u32::MAX - 1])]),
            [u32::MAX - 1, u32::MAX]
        );
    }

    #[test]
    fn many_claims_on_one_number_end() {
        let claimants: Vec<_> = (0..100_000).map(|at| claimant(at % 3600, &at.to_string(), &[1, 2, at])).collect();
        assert_eq!(assign(&claimants).unwrap().values().collect::<HashSet<_>>().len(), 100_000);
    }

    fn claims() -> impl Strategy<Value = Vec<Claimant>> {
        let numbers = prop::collection::vec(0..12_u32, 0..4);
        let claim = (0..6_u32, prop::sample::select(vec!["", "a", "b"]), numbers);
        prop::collection::vec(claim.prop_map(|(second, slug, numbers)| claimant(second, slug, &numbers)), 0..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::sync::merge::laws::cases()))]

        #[test]
        fn the_order_of_the_claimants_does_not_matter(
            (claims, shuffled) in claims().prop_flat_map(|claims| (Just(claims.clone()), Just(claims).prop_shuffle()))
        ) {
            prop_assert_eq!(assign(&claims), assign(&shuffled));
        }

        #[test]
        fn no_number_is_given_twice_and_none_is_given_up_without_need(claims in claims()) {
            let assigned = assign(&claims).unwrap();
            let numbers: BTreeSet<_> = assigned.values().collect();
            prop_assert_eq!(numbers.len(), assigned.len());
            for claim in &claims {
                let got = assigned[&claim.identity];
                for number in &claim.numbers {
                    let earlier = assigned.iter().any(|(other, given)| *other < claim.identity && given == number);
                    prop_assert!(got <= *number || earlier, "{} instead of {}", got, number);
                }
                let own = claims.iter().filter(|other| other.identity == claim.identity);
                let highest = claims.iter().flat_map(|claim| &claim.numbers).max();
                prop_assert!(own.clone().any(|own| own.numbers.contains(&got)) || Some(&got) > highest);
            }
        }

        #[test]
        fn numbers_once_given_stay(claims in claims()) {
            let assigned = assign(&claims).unwrap();
            let again: Vec<_> = assigned
                .iter()
                .map(|(identity, number)| Claimant { identity: identity.clone(), numbers: vec![*number] })
                .collect();
            prop_assert_eq!(assign(&again).unwrap(), assigned);
        }

        #[test]
        fn clones_that_chose_differently_meet(claims in claims(), apart in prop::collection::vec(20..40_u32, 12)) {
            // clone A resolves the claims; clone B had other issues too and so gave other new numbers
            let here = assign(&claims).unwrap();
            let strangers = claims.iter().cloned().chain((100..).zip(&apart).map(|(at, id)| claimant(at, "x", &[*id])));
            let mut there = assign(&strangers.collect::<Vec<_>>()).unwrap();
            there.retain(|identity, _| here.contains_key(identity));
            let files = |first: &BTreeMap<_, IssueId>, second: &BTreeMap<_, IssueId>| {
                let both = first.iter().chain(second);
                both.map(|(identity, id)| Claimant { identity: Identity::clone(identity), numbers: vec![*id] }).collect::<Vec<_>>()
            };
            let (met_here, met_there) = (assign(&files(&here, &there)).unwrap(), assign(&files(&there, &here)).unwrap());
            prop_assert_eq!(&met_here, &met_there);
            // what each then holds is in step with what the other still had
            prop_assert_eq!(assign(&files(&met_here, &met_here)).unwrap(), met_here);
        }
    }
}
