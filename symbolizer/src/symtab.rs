//! Function symbols at addresses, from `.symtab` or `.dynsym`.
//!
//! A table of a compiler or an interpreter has hundreds of thousands of entries and only a few
//! addresses are asked, so the table is not sorted: the addresses are, and one pass over the
//! table puts each symbol into the gap between two addresses where it starts. Each gap keeps
//! what the addresses above it can need: the last symbol to start, and the one that ends last.

use object::LittleEndian;
use object::elf::{
    SHF_EXECINSTR, SHN_UNDEF, STB_GLOBAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE, Sym64,
};
use object::read::elf::{SectionHeader, Sym};

use crate::elf::Symbols;

/// A function symbol.
#[derive(Clone, Copy)]
struct Candidate<'d> {
    start: u64,
    /// First address behind it; equal to `start` if the size is unknown (assembly).
    end: u64,
    /// End of the section it is in.
    limit: u64,
    /// Higher is better among symbols that start together.
    rank: u8,
    name: &'d [u8],
}

impl Candidate<'_> {
    fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether `self` is the better name for what starts at the same address. Names decide at
    /// last, so that the answer does not hang on the order of the table.
    fn beats(&self, other: &Self) -> bool {
        let key = |c: &Self| (c.start, c.rank, std::cmp::Reverse(underscores(c.name)));
        let (ours, theirs) = (key(self), key(other));
        ours > theirs || (ours == theirs && self.name < other.name)
    }
}

/// What starts between one address and the one below it.
#[derive(Clone, Copy, Default)]
struct Gap<'d> {
    /// The last to start.
    last: Option<Candidate<'d>>,
    /// The last to start of those that reach the address.
    inner: Option<Candidate<'d>>,
    /// The one that ends last.
    outer: Option<Candidate<'d>>,
}

/// The function symbol at each of `addresses`, which must be sorted.
pub(crate) fn lookup<'d>(symbols: &Symbols<'d, '_>, addresses: &[u64]) -> Vec<Option<&'d str>> {
    let endian = LittleEndian;
    let sections: Vec<_> = symbols
        .file
        .elf_section_table()
        .iter()
        .map(|section| {
            let end = section
                .sh_addr(endian)
                .saturating_add(section.sh_size(endian));
            (section.sh_flags(endian).0 & SHF_EXECINSTR.0 != 0, end)
        })
        .collect();
    let strings = symbols.table.strings();
    let mut gaps = vec![Gap::default(); addresses.len()];

    for symbol in symbols.table.iter() {
        let Some((rank, limit)) = rank_and_limit(symbol, &sections) else {
            continue;
        };
        let start = symbol.st_value(endian);
        let at = addresses.partition_point(|&address| address < start);
        let (Some(gap), Some(&address)) = (gaps.get_mut(at), addresses.get(at)) else {
            continue;
        };
        let mut new = Candidate {
            start,
            end: start.saturating_add(symbol.st_size(endian)),
            limit,
            rank,
            name: &[],
        };
        let last = gap.last.is_none_or(|old| new.start >= old.start);
        let reaches = new.contains(address);
        if !last && !reaches {
            continue;
        }
        match symbol.name(endian, strings) {
            Ok(name) if !name.is_empty() && name[0] != b'$' => new.name = name,
            _ => continue,
        }
        if gap.last.is_none_or(|old| new.beats(&old)) {
            gap.last = Some(new);
        }
        if reaches {
            if gap.inner.is_none_or(|old| new.beats(&old)) {
                gap.inner = Some(new);
            }
            if gap.outer.is_none_or(|old| new.end > old.end) {
                gap.outer = Some(new);
            }
        }
    }
    resolve(&gaps, addresses)
}

/// Walks the gaps upwards and carries what reaches over an address.
fn resolve<'d>(gaps: &[Gap<'d>], addresses: &[u64]) -> Vec<Option<&'d str>> {
    let mut last: Option<Candidate<'d>> = None;
    let mut carried: [Option<Candidate<'d>>; 2] = [None, None];
    let mut names = Vec::with_capacity(addresses.len());
    for (gap, &address) in gaps.iter().zip(addresses) {
        last = gap.last.or(last);
        let best = [gap.inner, gap.outer, carried[0], carried[1]]
            .into_iter()
            .flatten()
            .filter(|candidate| candidate.contains(address))
            .reduce(|best, other| if other.beats(&best) { other } else { best });
        let widest = [gap.outer, carried[1], carried[0]]
            .into_iter()
            .flatten()
            .max_by_key(|candidate| candidate.end);
        carried = [best, widest];
        // Assembly without sizes: up to the next symbol or the end of the section.
        let found = best.or(last.filter(|c| c.end == c.start && address < c.limit));
        names.push(found.and_then(|candidate| plain(candidate.name)));
    }
    names
}

/// How good a symbol's name is, and where its section ends; `None` if it is no function.
fn rank_and_limit(symbol: &Sym64<LittleEndian>, sections: &[(bool, u64)]) -> Option<(u8, u64)> {
    let endian = LittleEndian;
    let index = symbol.st_shndx(endian);
    if index == SHN_UNDEF {
        return None;
    }
    let section = sections.get(usize::from(index.0));
    let kind = match symbol.st_type() {
        STT_FUNC | STT_GNU_IFUNC => 4,
        STT_NOTYPE if section.is_some_and(|&(executable, _)| executable) => 0,
        _ => return None,
    };
    let binding = match symbol.st_bind() {
        STB_GLOBAL => 2,
        STB_WEAK => 1,
        _ => 0,
    };
    let limit = section.map_or(0, |&(_, end)| end);
    Some((kind + binding, limit))
}

fn underscores(name: &[u8]) -> usize {
    name.iter().take_while(|&&byte| byte == b'_').count()
}

/// The name without the version that linkers append.
fn plain(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    match name.split_once('@') {
        Some((stem, _)) if !stem.is_empty() => Some(stem),
        _ => Some(name),
    }
}
