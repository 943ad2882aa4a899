//! Plays logs and prints what they come to: `cargo run -p leak-heap --example dump -- app.1.leak…`
//! For whoever changes the format; users want `leak report`.

use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let brief = std::env::var_os("BRIEF").is_some();
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    for path in &paths {
        let start = Instant::now();
        match heap::replay(path, &heap::Options::default()) {
            Ok(profile) if brief => check(&profile),
            Ok(profile) => print(&profile),
            Err(error) => println!("{error}"),
        }
        if !brief {
            println!("  replayed in {:?}", start.elapsed());
        }
    }
}

fn print(profile: &heap::Profile) {
    println!("{}", profile.path.display());
    println!("  {:?}", profile.process);
    println!("  {:?}", profile.totals);
    println!("  {:?}", profile.loss);
    println!(
        "  {} sites, {} modules, {} threads, {} points",
        profile.sites().len(),
        profile.modules.len(),
        profile.threads.len(),
        profile.timeline.len()
    );
    for site in profile.sites().iter().take(3) {
        println!("  {:?} threads {}", site.figures, site.threads.len());
        for frame in profile.frames(site.stack).take(6) {
            let module = frame.module.map(|id| profile.module(id));
            let name = module.map_or("?".into(), |module| module.path.display().to_string());
            println!("    {:#x} {:?} {name}", frame.address, frame.kind);
        }
    }
}

/// One line, and all that should never be.
fn check(profile: &heap::Profile) {
    let (totals, loss) = (&profile.totals, &profile.loss);
    println!(
        "{} {:?} made {} live {} ({} B) peak {} B, {} threads, unmatched {} inherited {} truncated {}",
        profile.path.display(),
        profile.process.ending,
        totals.allocations + totals.reallocations,
        totals.live_blocks,
        totals.live_bytes,
        totals.peak_bytes,
        profile.threads.len(),
        loss.unmatched_frees,
        loss.inherited_frees,
        loss.unwinds_truncated,
    );
    for line in &loss.damage {
        println!("  DAMAGE {line}");
    }
    if loss.head_mismatches + loss.unknown_blocks + loss.events_lost + loss.missed_frees > 0 {
        println!(
            "  MISMATCHES {} UNKNOWN {} LOST {} MISSED {}",
            loss.head_mismatches, loss.unknown_blocks, loss.events_lost, loss.missed_frees
        );
    }
    if !loss.peak_is_exact {
        println!("  PEAK NOT EXACT");
    }
    let unplaced = profile
        .sites()
        .iter()
        .flat_map(|site| profile.frames(site.stack));
    let unplaced = unplaced
        .filter(|f| f.kind == heap::FrameKind::Native && f.module.is_none())
        .count();
    if unplaced > 0 {
        println!("  {unplaced} frames in no module");
    }
}
