//! The programs themselves, without libleak: each does what its first comment says. When one of
//! these fails, the machine or the program is to blame, not leak.

use leak_tests::{Program, Run, compile};

#[test]
fn every_program_builds() {
    for entry in std::fs::read_dir(compile::sources()).expect("the programs") {
        let path = entry.expect("a program").path();
        let (Some(stem), Some(suffix)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        if suffix != "h" && stem != "tiny32" {
            Program::new(&stem.to_string_lossy()).build();
        }
    }
}

#[test]
fn programs_without_arguments_end_as_they_say() {
    for (name, status) in [
        ("zero_sizes", 0),
        ("huge_sizes", 0),
        ("errno_kept", 0),
        ("usable_size", 0),
        ("mappings", 0),
        ("temporary", 0),
        ("peak", 0),
        ("peak_of_threads", 0),
        ("operators", 0),
        ("own_new", 0),
        ("deep", 0),
        ("jumps", 0),
        ("throws", 0),
        ("fibers", 0),
        ("generated", 0),
        ("frames", 0),
        ("tree", 0),
        ("cross_free", 0),
        ("thread_ends", 0),
        ("after_main", 3),
        ("thread_names", 0),
        ("small_stacks", 0),
        ("alternate_stack", 0),
        ("signals_of_app", 0),
        ("fork_child", 0),
        ("fork_storm", 0),
        ("prefork", 0),
        ("daemonises", 0),
        ("shared_memory_child", 0),
        ("fork_in_thread", 0),
        ("plenty", 0),
        ("low_files", 0),
        ("filtered", 0),
        ("own_malloc", 0),
        ("inlines", 0),
        ("boxes", 4),
        ("endings", 6),
    ] {
        let outcome = Run::program(name).plain();
        assert_eq!(
            outcome.status.code(),
            Some(status),
            "{name}: {}",
            outcome.stdout
        );
        assert!(outcome.logs.is_empty(), "{name}");
        if name != "endings" {
            assert!(
                !outcome.stdout.is_empty() && outcome.stderr.is_empty(),
                "{name}: {}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn the_allocator_for_signal_handlers_works() {
    let allocator = Program::new("reentrant_allocator").build();
    for program in [
        "timer",
        "swap_blocks",
        "cross_free",
        "zero_sizes",
        "operators",
    ] {
        let outcome = Run::program(program).behind(&allocator).plain();
        assert_eq!(
            outcome.status.code(),
            Some(0),
            "{program}: {}",
            outcome.stdout
        );
    }
}
