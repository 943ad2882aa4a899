//! Merges sites by what the caller finds equal.

use crate::profile::{Figures, Profile, Site};
use crate::units::{StackId, ThreadId};
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Sites that are one to the caller.
#[derive(Clone, Debug)]
pub struct Group<K> {
    /// What they have in common.
    pub key: K,
    /// Their figures together.
    pub figures: Figures,
    /// Distinct threads that made their live blocks; those of several processes
    /// add up.
    pub threads: u64,
    /// The sites, most live bytes first: profile number and stack.
    pub sites: Vec<(usize, StackId)>,
}

/// Groups the sites of all profiles by a key that the caller makes (`None`
/// leaves a site out). The groups come in order of live bytes, most first;
/// equal ones in order of their first site.
pub fn aggregate<K: Hash + Eq>(
    profiles: &[Profile],
    mut key: impl FnMut(usize, &Profile, &Site) -> Option<K>,
) -> Vec<Group<K>> {
    struct Entry {
        figures: Figures,
        threads: BTreeSet<(usize, ThreadId)>,
        sites: Vec<(usize, StackId)>,
        first: usize,
    }
    let mut groups: HashMap<K, Entry> = HashMap::new();
    for (number, profile) in profiles.iter().enumerate() {
        for site in profile.sites() {
            let Some(key) = key(number, profile, site) else {
                continue;
            };
            let first = groups.len();
            let entry = groups.entry(key).or_insert_with(|| Entry {
                figures: Figures::default(),
                threads: BTreeSet::new(),
                sites: Vec::new(),
                first,
            });
            entry.figures.add(&site.figures);
            entry
                .threads
                .extend(site.threads.iter().map(|&thread| (number, thread)));
            entry.sites.push((number, site.stack));
        }
    }
    let mut groups: Vec<(K, Entry)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, entry)| (std::cmp::Reverse(entry.figures.bytes), entry.first));
    let groups = groups.into_iter().map(|(key, entry)| Group {
        key,
        figures: entry.figures,
        threads: entry.threads.len() as u64,
        sites: entry.sites,
    });
    groups.collect()
}
