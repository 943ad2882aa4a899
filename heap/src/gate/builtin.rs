//! What libc, the loader, libstdc++ and language runtimes keep until the process ends, by design.
//!
//! Written in Valgrind's grammar, which names whole stacks and can say which classes of leaks are meant:
//! almost always only blocks that are still pointed to, for what nothing points to is not kept but lost. The
//! exception are tables of threads, whose pointers stand in the dead stacks of ended threads.

use super::valgrind::{self, Entry};

/// A text of entries and why they are there.
struct Kept {
    reason: &'static str,
    entries: &'static str,
}

const KEPT: &[Kept] = &[
    Kept {
        reason: "libstdc++ reserves memory when it is loaded, to be able to throw std::bad_alloc when there is none",
        entries: "
{
    libstdc++: emergency pool
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/libstdc++.so*
    fun:call_init
}
{
    libstdc++: emergency pool, libc without symbols
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/libstdc++.so*
    obj:*/ld-linux*.so*
}
{
    libstdc++: emergency pool, linked statically
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:pool
    ...
    fun:_GLOBAL__sub_I_eh_alloc.cc
}",
    },
    Kept {
        reason: "the dynamic loader keeps its records of modules until the process ends",
        entries: "
{
    loader: modules
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/ld-linux*.so*
    ...
    fun:dlopen*
}
{
    loader: the program's own modules
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/ld-linux*.so*
    ...
    fun:_dl_start_user
}
{
    loader: the last error of a thread
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:_dlerror_run
}",
    },
    Kept {
        reason: "libc keeps the stacks of ended threads for later ones, and in them the only pointer to their tables",
        entries: "
{
    libc: tables of threads
    Memcheck:Leak
    obj:*/ld-linux*.so*
    ...
    fun:*pthread_create*
}
{
    libc: tables of threads, recorded from their start
    Memcheck:Leak
    fun:allocate_dtv
}",
    },
    Kept {
        reason: "libc keeps the buffers of stdin, stdout and stderr until the process ends",
        entries: "
{
    libc: buffers of standard streams
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:_IO_file_doallocate
}
{
    libc: buffers of wide streams
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:_IO_wfile_doallocate
}",
    },
    Kept {
        reason: "libc keeps locales, conversions and translations that were loaded once",
        entries: "
{
    libc: locales
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:_nl_*
    ...
    fun:setlocale
}
{
    libc: conversions
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:__gconv_*
}
{
    libc: translations
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:_nl_*
    ...
    fun:*gettext
}
{
    libc: text domains
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:set_binding_values*
}",
    },
    Kept {
        reason: "libc keeps the time zone that was read last",
        entries: "
{
    libc: time zone
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:tzset_internal
}
{
    libc: rules of the time zone
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:__tzfile_read
}",
    },
    Kept {
        reason: "libc keeps the functions to call at exit, and the environment that setenv made",
        entries: "
{
    libc: functions to call at exit
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:__new_exitfn
}
{
    libc: environment
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:__add_to_environ
}",
    },
    Kept {
        reason: "libc keeps the configuration and results of name services",
        entries: "
{
    libc: name services
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:__nss_*
}
{
    libc: users and groups
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    fun:nss_*
    ...
    fun:get*
}",
    },
    Kept {
        reason: "libgcc keeps sorted tables of the code that was registered with it",
        entries: "
{
    libgcc: unwind tables
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/libgcc_s.so*
    ...
    fun:_Unwind_*
}",
    },
    Kept {
        reason: "OpenMP keeps its threads and their records for the next parallel region",
        entries: "
{
    libgomp: threads
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    obj:*/libgomp.so*
}",
    },
    Kept {
        reason: "GLib never frees types, quarks and interned strings",
        entries: "
{
    GLib: types
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:g_type_register_*
}
{
    GLib: the beginning of the type system
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:gobject_init*
}
{
    GLib: quarks
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:g_quark_from_*
}
{
    GLib: interned strings
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:g_intern_*
}",
    },
    Kept {
        reason: "Rust drops no statics: the handle of the main thread and the buffer of stdout stay",
        entries: "
{
    Rust: the runtime's beginning
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:std::rt::init
}
{
    Rust: stdout
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:std::io::stdio::STDOUT*
}
{
    Rust: stdout, as it is first used
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:std::io::stdio::stdout*
}
{
    Rust: statics of the standard library that are made at first use
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:std::sync::once_lock::OnceLock<T>::initialize
    fun:std::io::*
}",
    },
    Kept {
        reason: "Python frees what it made at its start only in part",
        entries: "
{
    Python: its beginning
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:Py_Initialize*
}",
    },
    Kept {
        reason: "Perl frees its program at the end only if PERL_DESTRUCT_LEVEL asks for it",
        entries: "
{
    Perl: the program
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:perl_parse
}",
    },
    Kept {
        reason: "Node and V8 keep what they made for the process when it began",
        entries: "
{
    V8: its beginning
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:v8::V8::Initialize*
}
{
    Node: its beginning
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:node::InitializeOncePerProcess*
}",
    },
    Kept {
        reason: "V8 keeps the numbers of objects for the next heap snapshot, and names while it samples its heap",
        entries: "
{
    V8: heap snapshots
    Memcheck:Leak
    match-leak-kinds: reachable,possible
    ...
    fun:v8::HeapProfiler::TakeHeapSnapshot*
}",
    },
];

/// All entries, each with its reason.
pub(crate) fn entries() -> impl Iterator<Item = (&'static str, Entry)> {
    KEPT.iter().flat_map(|kept| {
        let entries = valgrind::parse(kept.entries, &|_| None).unwrap_or_default();
        entries.into_iter().map(|(_, entry)| (kept.reason, entry))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Amount, Leak, NamedFrame};
    use super::*;
    use log_format::reach::Class;
    use std::path::Path;

    /// Entries of blocks whose pointer stands where no search looks.
    const HIDDEN: &str = "libc: tables of threads";

    #[test]
    fn every_entry_is_well_written_and_spares_what_is_lost() {
        for kept in KEPT {
            let entries = valgrind::parse(kept.entries, &|_| None).unwrap();
            assert!(!entries.is_empty(), "{}", kept.reason);
            for (_, entry) in entries {
                let hidden = entry.name.starts_with(HIDDEN);
                assert!(
                    hidden || !entry.kinds[valgrind::place(Class::Unreachable)],
                    "{}",
                    entry.name
                );
            }
        }
    }

    #[test]
    fn the_emergency_pool_of_libstdcxx_is_known() {
        let frame = |module, function| NamedFrame {
            module: Some(Path::new(module)),
            function,
            ..NamedFrame::default()
        };
        let mut leak = Leak {
            site: 0,
            class: Some(Class::Reachable),
            growing: false,
            amount: Amount {
                blocks: 1,
                bytes: 72_704,
            },
            frames: vec![
                frame("/lib/x86_64-linux-gnu/libstdc++.so.6", None),
                frame("/lib64/ld-linux-x86-64.so.2", Some("call_init")),
                frame("/lib64/ld-linux-x86-64.so.2", Some("_dl_init")),
            ],
            allocator: 0,
            inside: 3,
        };
        let known = |leak: &Leak<'_>| entries().any(|(_, entry)| entry.matches(leak));
        assert!(known(&leak));
        leak.class = None;
        assert!(known(&leak));
        leak.class = Some(Class::Unreachable);
        assert!(!known(&leak));
        leak.class = Some(Class::Reachable);
        leak.frames.insert(0, frame("/opt/app", Some("make")));
        assert!(!known(&leak));
    }
}
