//! The leaks of some processes with the names of all their frames, for the gate.

use heap::gate::{Amount, Leak, NamedFrame};
use heap::{Class, Growth, Profile, Tally};
use symbolizer::Options as Symbols;

use super::loss::Loss;
use super::names::Names;
use super::page::{Frame, Site};
use super::progress::Progress;
use super::view::View;
use super::{Options, hiding, unseen};

/// Sites with blocks that were not freed, and the names they need.
pub struct Named<'p> {
    view: View<'p>,
    names: Names,
    options: Options,
    growths: Vec<Option<Growth>>,
}

impl<'p> Named<'p> {
    /// Finds the names. The bar appears only if that takes long.
    pub fn new(profiles: &'p [Profile], symbols: &Symbols) -> Named<'p> {
        let options = Options {
            symbols: symbols.clone(),
            ..Options::whole()
        };
        let progress = Progress::new();
        let mut names = Names::new(symbols.clone());
        let view = View::new(profiles, &options, &mut names, &|done| {
            progress.tell("finding names", done as u64, done as u64 + 1);
        });
        progress.clear();
        let growths = view.judge(&view.groups);
        Named {
            view,
            names,
            options,
            growths,
        }
    }

    /// The sites, most bytes first, as reports show them.
    pub fn sites(&self) -> Vec<Site<'_>> {
        let sites = self.view.sites(&self.names).zip(&self.growths);
        sites
            .map(|(site, growth)| Site {
                growth: growth.as_ref(),
                ..site
            })
            .collect()
    }

    /// Their leaks, a site's by class; [`Leak::site`] is the place in `sites`, which came from here.
    pub fn leaks<'n>(&'n self, sites: &[Site<'_>]) -> Vec<Leak<'n>> {
        let mut leaks = Vec::new();
        for ((number, site), group) in sites.iter().enumerate().zip(&self.view.groups) {
            let Some(&(profile, stack)) = group.sites.first() else {
                continue;
            };
            let (frames, _) = self.view.whole_stack(profile, stack, &self.names);
            let mut rest = Amount {
                blocks: site.figures.blocks,
                bytes: site.figures.bytes.0,
            };
            let mut classes = Vec::new();
            for class in Class::ALL {
                let tally = site
                    .reach
                    .map_or_else(Tally::default, |reach| reach.classes.of(class));
                let (blocks, bytes) = (tally.blocks, tally.bytes.0);
                rest.blocks = rest.blocks.saturating_sub(blocks);
                rest.bytes = rest.bytes.saturating_sub(bytes);
                classes.push((Some(class), Amount { blocks, bytes }));
            }
            // Of processes that could not be searched, and made while the search began.
            classes.push((None, rest));
            for (class, amount) in classes.into_iter().filter(|(_, amount)| amount.blocks > 0) {
                leaks.push(Leak {
                    site: number,
                    class,
                    growing: site.growth.is_some_and(|growth| growth.verdict.grows()),
                    amount,
                    allocator: frames.len() - site.frames.len(),
                    inside: hiding::inside_runtime(&frames),
                    frames: frames.iter().map(named).collect(),
                });
            }
        }
        leaks
    }

    /// What the record lacks, in lines.
    pub fn loss(&self) -> Vec<String> {
        Loss::of(
            self.view.profiles,
            unseen(&self.view, &self.names, &self.options),
        )
        .lines()
    }
}

fn named<'a>(frame: &Frame<'a>) -> NamedFrame<'a> {
    NamedFrame {
        // glibc's own aliases depend on how its symbols were stripped.
        function: frame
            .function
            .map(|name| name.strip_prefix("__GI_").unwrap_or(name)),
        module: frame.module,
        file: frame.file,
        line: frame.line,
        inlined: frame.inlined,
        offset: frame.offset,
    }
}
