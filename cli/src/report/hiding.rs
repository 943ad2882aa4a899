//! Which frames a reader need not see.
//!
//! Always left out: libleak's own frames, wherever they are; and at the inner end the allocator's
//! and what languages put around it, up to the first function that a programmer would blame.
//! In text, unless all frames are asked for: what calls `main` or a thread's function, and the
//! inside of standard libraries, of which only the function that the program called is shown. A stack never
//! loses all its frames.

use super::page::Frame;

/// The recorder.
const OWN: &str = "libleak.so";

/// Libraries that are allocators as a whole, by the start of their file names.
const ALLOCATORS: &[&str] = &[
    "libjemalloc",
    "libtcmalloc",
    "libmimalloc",
    "libhoard",
    "libscudo",
];

/// The C library's functions that hand out memory, and what it puts before them inside.
const LIBC: &[&str] = &[
    "malloc",
    "calloc",
    "realloc",
    "reallocarray",
    "memalign",
    "aligned_alloc",
    "posix_memalign",
    "valloc",
    "pvalloc",
    "malloc_hook_ini",
];
const LIBC_PREFIXES: &[&str] = &[
    "",
    "__",
    "__libc_",
    "__GI___libc_",
    "__GI_",
    "_int_",
    "_mid_",
    "__interceptor_",
];

/// What other allocators call theirs besides, and what they put before them. Without such a
/// prefix these names are a programmer's own.
const OTHERS: &[&str] = &[
    "mallocx",
    "rallocx",
    "zalloc",
    "new",
    "new_nothrow",
    "newarray",
    "new_aligned",
    "newarray_nothrow",
    "malloc_aligned",
    "zalloc_aligned",
    "malloc_generic",
    "heap_malloc",
    "heap_malloc_zero",
    "page_malloc",
    "theap_malloc",
];
const OTHER_PREFIXES: &[&str] = &["je_", "_rjem_", "_rjem_je_", "tc_", "mi_", "_mi_"];

/// Starts of C++ and Rust names that stand between an allocator and its user.
const WRAPPERS: &[&str] = &[
    "operator new",
    "__gnu_cxx::new_allocator<",
    "__gnu_cxx::__new_allocator<",
    "std::__new_allocator<",
    "std::allocator<",
    "std::allocator_traits<",
    "std::__allocate_guarded<",
    "std::__1::allocator<",
    "std::__1::allocator_traits<",
    "std::__1::__libcpp_allocate",
    "std::__1::__libcpp_operator_new",
    "tcmalloc::",
    "alloc::alloc::",
    "alloc::raw_vec::",
    "alloc::boxed::box_new",
    "std::sys::alloc::",
    "std::sys::pal::unix::alloc::",
    "std::sys_common::alloc::",
    "std::alloc::",
    "__rustc::__r",
    "__rust_alloc",
    "__rust_realloc",
    "__rdl_",
    "__rg_",
];

/// Starts of names that call `main`, a constructor or a thread's function. Everything outside
/// of them is the C library's, with or without a name.
const RUNTIME: &[&str] = &["__libc_start_", "start_thread", "_start"];

/// Rust's runtime begins here, seen from a program's or a thread's own functions.
const RUST_BOUNDARY: &str = "__rust_begin_short_backtrace";

/// What stands between that and the program's own functions.
const RUST_CALL: &str = "core::ops::function::FnOnce::call_once";

/// Where the sources of Rust's and C++'s standard libraries are.
const STANDARD: &[&str] = &[
    "/rustc/",
    "/rust/deps/",
    "/usr/include/c++/",
    "/usr/include/x86_64-linux-gnu/c++/",
];

/// What V8 calls its own code.
const V8: &[&str] = &[
    "Builtins_",
    "BytecodeHandler:",
    "v8::internal::",
    "v8::base::",
    "v8::api_internal::",
];

/// Part of the names of V8's own templates, before their arguments, whatever they return.
const V8_PART: &str = "v8::internal::";

/// Starts of names that are between the outermost function of a Node program and the process's start.
const NODE: &[&str] = &[
    "Builtins_",
    "v8::",
    "node::",
    "uv_",
    "main",
    "__libc_start_",
    "_start",
    "start_thread",
];

/// Where Node's own JavaScript is that nobody calls by its name: it loads and runs what others wrote.
const NODE_INSIDE: &str = "node:internal/";

/// Whether a frame is inside of a standard library that was compiled into the program, or of a
/// language's runtime.
pub fn is_standard(frame: &Frame<'_>) -> bool {
    let starts = |text: Option<&str>, list: &[&str]| {
        text.is_some_and(|text| list.iter().any(|start| text.starts_with(start)))
    };
    starts(frame.file, STANDARD) || is_v8(frame)
}

/// Whether a frame is of V8 and not of its interface.
pub fn is_v8(frame: &Frame<'_>) -> bool {
    frame.function.is_some_and(|function| {
        let before_arguments = function.split('(').next().unwrap_or_default();
        script(frame).is_none()
            && (V8.iter().any(|start| function.starts_with(start))
                || before_arguments.contains(V8_PART))
    })
}

/// How near a JavaScript file is to the program's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// The program's own.
    Own,
    /// A package's, or made from a text while the program ran.
    Package,
    /// Node's.
    Node,
}

impl Script {
    /// Whose a file is.
    pub fn of(file: &str) -> Script {
        if file.starts_with("node:") {
            Script::Node
        } else if file.contains("/node_modules/") || file == symbolizer::NO_FILE {
            Script::Package
        } else {
            Script::Own
        }
    }
}

/// The script that a frame is in, if it is a JavaScript function.
pub fn script<'a>(frame: &Frame<'a>) -> Option<&'a str> {
    frame.file.filter(|_| frame.module.is_none())
}

/// Whether a file is the recorder.
pub fn is_own_path(path: &std::path::Path) -> bool {
    path.file_name().is_some_and(|name| name == OWN)
}

/// Whether a frame is of the recorder.
pub fn is_own(frame: &Frame<'_>) -> bool {
    frame.module_name() == Some(OWN)
}

/// Whether a frame at the inner end is the allocator's.
pub fn is_allocator(frame: &Frame<'_>) -> bool {
    if is_own(frame) {
        return true;
    }
    if let Some(module) = frame.module_name()
        && ALLOCATORS.iter().any(|name| module.starts_with(name))
    {
        return true;
    }
    frame.function.is_some_and(names_allocator)
}

fn names_allocator(function: &str) -> bool {
    if function.starts_with("__libc_") && !function.starts_with("__libc_start_") {
        return true;
    }
    let family = |prefixes: &[&str], names: &[&[&str]]| {
        let stripped = prefixes
            .iter()
            .filter_map(|prefix| function.strip_prefix(prefix));
        stripped
            .into_iter()
            .any(|rest| names.iter().any(|names| names.contains(&rest)))
    };
    // `<alloc::alloc::Global as core::alloc::Allocator>::allocate`
    let bare = function.trim_start_matches('<');
    family(LIBC_PREFIXES, &[LIBC])
        || family(OTHER_PREFIXES, &[LIBC, OTHERS])
        || WRAPPERS.iter().any(|wrapper| bare.starts_with(wrapper))
}

/// Whether nothing called a frame, though unwinders may not know.
pub fn is_outermost(frame: &Frame<'_>) -> bool {
    matches!(
        frame.function,
        Some("_start" | "_dl_start_user" | "clone" | "clone3" | "__clone" | "__clone3")
    )
}

fn name<'a>(frame: &Frame<'a>) -> &'a str {
    frame.function.unwrap_or_default()
}

/// How many frames are inside of Node's event loop and loader, if the program is one of Node's.
fn inside_node(frames: &[Frame<'_>]) -> Option<usize> {
    let own = |frame: &Frame<'_>| script(frame).is_some_and(|file| !file.starts_with(NODE_INSIDE));
    let len = frames.iter().rposition(own)? + 1;
    let node = |frame: &Frame<'_>| {
        script(frame).is_some() || NODE.iter().any(|start| name(frame).starts_with(start))
    };
    frames[len..].iter().all(node).then_some(len)
}

/// How many frames, from the inner end, are not the runtime's business.
pub fn inside_runtime(frames: &[Frame<'_>]) -> usize {
    if let Some(len) = inside_node(frames) {
        return len;
    }
    let keep = |len| if len == 0 { frames.len() } else { len };
    if let Some(at) = frames
        .iter()
        .rposition(|frame| name(frame).contains(RUST_BOUNDARY))
    {
        let calls = frames[..at]
            .iter()
            .rev()
            .take_while(|frame| name(frame).starts_with(RUST_CALL));
        return keep(at - calls.count());
    }
    if let Some(at) = frames.iter().rposition(|frame| name(frame) == "main") {
        return at + 1;
    }
    let runtime = |frame: &Frame<'_>| RUNTIME.iter().any(|start| name(frame).starts_with(start));
    keep(frames.iter().position(runtime).unwrap_or(frames.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[&'static str]) -> Vec<Frame<'static>> {
        names
            .iter()
            .map(|name| Frame {
                function: Some(name),
                ..Frame::default()
            })
            .collect()
    }

    #[test]
    fn allocators_are_known_by_name_or_module() {
        for name in [
            "malloc",
            "__libc_calloc",
            "operator new(unsigned long)",
            "operator new[](unsigned long)",
            "__rust_alloc",
            "__rustc::__rust_alloc",
            "alloc::alloc::Global::alloc_impl",
            "<alloc::alloc::Global as core::alloc::Allocator>::allocate",
            "<alloc::raw_vec::RawVec<u8>>::with_capacity_in",
            "je_malloc",
            "mi_zalloc",
            "std::__new_allocator<int>::allocate(unsigned long, void const*)",
            "_int_malloc",
        ] {
            assert!(is_allocator(&frames(&[name])[0]), "{name}");
        }
        for name in [
            "main",
            "xmalloc",
            "strdup",
            "tc_qdisc_new",
            "zalloc",
            "new",
            "my_malloc",
            "newline",
            "__libc_start_main",
        ] {
            assert!(!is_allocator(&frames(&[name])[0]), "{name}");
        }
        let module = |path| Frame {
            module: Some(std::path::Path::new(path)),
            ..Frame::default()
        };
        assert!(is_allocator(&module(
            "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
        )));
        assert!(!is_allocator(&module(
            "/usr/lib/x86_64-linux-gnu/libc.so.6"
        )));
        assert!(is_own(&module("/opt/lib/libleak.so")));
    }

    #[test]
    fn what_runs_a_node_program_is_outside() {
        let native = |function| Frame {
            function: Some(function),
            module: Some(std::path::Path::new("/usr/bin/node")),
            ..Frame::default()
        };
        let javascript = |function, file| Frame {
            function: Some(function),
            file: Some(file),
            ..Frame::default()
        };
        let mut stack = vec![
            native("node::Buffer"),
            javascript("keep", "/srv/app.js"),
            javascript("emit", "node:events"),
            javascript("_compile", "node:internal/modules/cjs/loader"),
            native("Builtins_JSEntry"),
            native("v8::Function::Call(v8::Isolate*)"),
            native("node::Start(int, char**)"),
            native("main"),
        ];
        assert_eq!(inside_runtime(&stack), 3);
        // A program that has Node inside is not Node.
        stack.push(native("my_main"));
        stack.push(native("main"));
        assert_eq!(inside_runtime(&stack), 10);
        let only_node = [
            javascript("load", "node:internal/zip"),
            native("node::Start(int, char**)"),
        ];
        assert_eq!(inside_runtime(&only_node), 2);
    }

    #[test]
    fn v8_is_known_by_its_names_and_its_interface_is_not_folded() {
        for name in [
            "v8::internal::Heap::AllocateRaw(int)",
            "v8::base::TemplateHashMapImpl<void*>::Resize()",
            "void v8::internal::AstRawString::Internalize<v8::internal::Isolate>(v8::internal::Isolate*)",
            "std::vector<v8::internal::Object>::push_back(v8::internal::Object&&)",
            "Builtins_CEntry_Return1_ArgvOnStack_BuiltinExit",
        ] {
            assert!(is_v8(&frames(&[name])[0]), "{name}");
        }
        for name in [
            "v8::ArrayBuffer::New(v8::Isolate*, unsigned long)",
            "node::Buffer::New(v8::internal::Isolate*)",
            "main",
        ] {
            assert!(!is_v8(&frames(&[name])[0]), "{name}");
        }
        let javascript = Frame {
            function: Some("Builtins_are_mine"),
            file: Some("/srv/app.js"),
            ..Frame::default()
        };
        assert!(!is_v8(&javascript));
    }

    #[test]
    fn what_calls_main_is_outside() {
        let c = frames(&[
            "f",
            "main",
            "__libc_start_call_main",
            "__libc_start_main@@GLIBC_2.34",
            "_start",
        ]);
        assert_eq!(inside_runtime(&c), 2);
        let thread = frames(&["work", "start_thread", "clone3"]);
        assert_eq!(inside_runtime(&thread), 1);
        let mut stripped = frames(&[
            "",
            "",
            "__libc_start_call_main",
            "__libc_start_main_impl",
            "",
        ]);
        stripped
            .iter_mut()
            .filter(|frame| frame.function == Some(""))
            .for_each(|frame| frame.function = None);
        assert_eq!(inside_runtime(&stripped), 2);
        let rust = frames(&[
            "app::f",
            "app::main",
            "core::ops::function::FnOnce::call_once",
            "std::sys::backtrace::__rust_begin_short_backtrace",
            "std::rt::lang_start::{{closure}}",
            "std::rt::lang_start_internal",
            "main",
            "__libc_start_call_main",
            "_start",
        ]);
        assert_eq!(inside_runtime(&rust), 2);
    }

    #[test]
    fn a_stack_keeps_its_frames_if_all_are_the_runtimes() {
        assert_eq!(inside_runtime(&frames(&["start_thread", "clone3"])), 2);
        assert_eq!(
            inside_runtime(&frames(&["std::rt::lang_start", "main", "_start"])),
            2
        );
        assert_eq!(inside_runtime(&frames(&["main", "_start"])), 1);
        assert_eq!(inside_runtime(&[]), 0);
    }
}
