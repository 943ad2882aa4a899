//! The text of made-up reports.

use super::*;
use crate::report::page::Frame;
use heap::Bytes;
use std::path::Path;

fn page() -> Page {
    Page {
        processes: vec![ProcessLine {
            command: "./app --serve".to_owned(),
            pid: 77,
            duration: Nanos(12_340_000_000),
            ending: "exit status 0".to_owned(),
            live_bytes: 3_000_000,
            ..ProcessLine::default()
        }],
        sums: Sums {
            allocations: 1_234_567,
            frees: 1_234_000,
            reallocations: 12,
            allocated_bytes: 345_600_000,
            live_blocks: 567,
            live_bytes: 3_000_000,
            peak_bytes: 9_000_000,
            temporary: 1_000,
            ..Sums::default()
        },
        peak_time: Some(Nanos(3_210_000_000)),
        all: Hidden {
            sites: 2,
            ..Hidden::default()
        },
        sort: Some(Sort::Bytes),
        merge: Some(Merge::Stack),
        here: "/home/me/app".into(),
        ..Page::default()
    }
}

fn frame<'a>(function: &'a str, place: Option<(&'a str, u32)>) -> Frame<'a> {
    Frame {
        address: Some(0x1000),
        module: Some(Path::new("/usr/bin/app")),
        function: Some(function),
        file: place.map(|(file, _)| file),
        line: place.map(|(_, line)| line),
        ..Frame::default()
    }
}

fn site(frames: Vec<Frame<'_>>) -> Site<'_> {
    let figures = Figures {
        blocks: 300,
        bytes: Bytes(2_000_000),
        allocations: 12_345,
        allocated_bytes: Bytes(9_000_000),
        peak_blocks: 400,
        peak_bytes: Bytes(3_000_000),
        temporary: 5,
        ..Figures::default()
    };
    Site {
        figures,
        growth: None,
        threads: 2,
        stacks: 1,
        processes: 1,
        frames,
        other_ways: 0,
        cut: None,
        reach: None,
        pattern: None,
        path: &[],
    }
}

fn printed(page: &Page, sites: Vec<Site<'_>>) -> String {
    let mut out = Vec::new();
    header(&mut out, page, Paint::PLAIN).unwrap();
    print(
        &mut out,
        page,
        sites.into_iter(),
        &mut Sources::default(),
        Paint::PLAIN,
    )
    .unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn names_places_inlines_and_source_lines_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("cache.cc");
    std::fs::write(&source, "int a;\n\n    auto *p = new Entry[n];\n").unwrap();
    let source = source.to_str().unwrap();
    let frames = vec![
        Frame {
            inlined: true,
            ..frame("make<int>(int)", Some((source, 3)))
        },
        frame("handle", Some(("/home/me/app/src/handle.cc", 20))),
        frame("qsort", None),
        Frame {
            function: None,
            offset: 0x1234,
            ..frame("", None)
        },
        frame("main", Some(("/src/main.cc", 7))),
        frame("__libc_start_call_main", None),
    ];
    let page = Page {
        here: dir.path().to_owned(),
        ..page()
    };
    insta::assert_snapshot!(printed(&page, vec![site(frames)]));
}

#[test]
fn recursion_is_told_once() {
    let mut frames = vec![frame("leaf", None)];
    for _ in 0..50 {
        frames.push(frame("even", Some(("/e.c", 1))));
        frames.push(frame("odd", Some(("/e.c", 9))));
    }
    frames.push(frame("main", None));
    let text = printed(&page(), vec![site(frames)]);
    insta::assert_snapshot!(text.split("made here").last().unwrap());
}

#[test]
fn the_inside_of_standard_libraries_is_folded() {
    let std = |name| Frame {
        inlined: true,
        ..frame(name, Some(("/rustc/abc/library/alloc/src/vec/mod.rs", 5)))
    };
    let frames = || {
        let own = frame("app::f", Some(("/home/me/app/src/main.rs", 3)));
        vec![
            std("Vec::grow"),
            std("Vec::extend"),
            std("Iterator::collect"),
            own,
            std("Option::map"),
            frame("app::main", None),
        ]
    };
    let text = printed(&page(), vec![site(frames())]);
    insta::assert_snapshot!(text.split("made here").last().unwrap());
    let all = printed(
        &Page {
            all_frames: true,
            ..page()
        },
        vec![site(frames())],
    );
    assert!(all.contains("Vec::extend"), "{all}");
}

#[test]
fn a_stack_that_was_cut_says_so_and_is_not_cut_further() {
    let mut cut = site(vec![
        frame("f", None),
        frame("main", None),
        frame("_start", None),
    ]);
    cut.cut = Some("no unwind information there");
    let text = printed(&page(), vec![cut]);
    insta::assert_snapshot!(text.split("made here").last().unwrap());
}

#[test]
fn merged_sites_show_what_they_were_merged_by() {
    let merged = |frame| Site {
        stacks: 40,
        ..site(vec![Frame {
            address: None,
            ..frame
        }])
    };
    let sites = vec![
        merged(Frame {
            line: None,
            ..frame("cache::make()", Some(("/src/cache.cc", 0)))
        }),
        merged(Frame {
            function: None,
            line: None,
            ..frame("", Some(("/src/cache.cc", 0)))
        }),
        merged(Frame {
            function: None,
            ..frame("", None)
        }),
        merged(Frame::default()),
    ];
    let page = Page {
        merge: Some(Merge::Function),
        ..page()
    };
    let text = printed(&page, sites);
    insta::assert_snapshot!(text.split("stack is whole").last().unwrap());
}

#[test]
fn losses_come_before_the_sites() {
    let loss = vec![
        "./app has jemalloc linked in: ...".to_owned(),
        "7 events lost: ...".to_owned(),
    ];
    let page = Page { loss, ..page() };
    let text = printed(&page, vec![]);
    assert!(
        text.contains(
            "lost        ./app has jemalloc linked in: ...\n            7 events lost: ...\n"
        ),
        "{text}"
    );
}

#[test]
fn many_processes_are_listed_by_what_they_left() {
    let line = page().processes.remove(0);
    let processes = (1..=13).map(|n| ProcessLine {
        pid: n,
        live_bytes: u64::from(n) << 10,
        ..line.clone()
    });
    let page = Page {
        processes: processes.collect(),
        peak_time: None,
        ..page()
    };
    insta::assert_snapshot!(printed(&page, vec![]).split("Nothing").next().unwrap());
}

#[test]
fn the_middle_of_a_long_stack_is_left_out_unless_asked_for() {
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    let long = || site(names.iter().map(|name| frame(name, None)).collect());
    let stack = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with(['f', '(']));
        lines
            .map(|line| line.split("  ").next().unwrap_or_default().to_owned())
            .collect()
    };
    let shown = stack(&printed(&page(), vec![long()]));
    let mut expected: Vec<String> = (0..20).map(|n| format!("f{n}")).collect();
    expected.push("(... 74 more; --all-frames shows them)".to_owned());
    expected.extend((94..100).map(|n| format!("f{n}")));
    assert_eq!(shown, expected);

    let all = Page {
        all_frames: true,
        ..page()
    };
    assert_eq!(stack(&printed(&all, vec![long()])), names);
    let fits = site(
        names
            .iter()
            .take(32)
            .map(|name| frame(name, None))
            .collect(),
    );
    assert_eq!(stack(&printed(&page(), vec![fits])), &names[..32]);
}
