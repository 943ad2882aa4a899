//! What is reachable at the end of Rust programs: blocks made below a function named after their
//! class must be of it. Without an argument prints the cases; with one runs it and prints which
//! classes it has (-1: some).

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hint::black_box;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

#[inline(never)]
fn unreachable_by<T>(make: impl FnOnce() -> T) -> T {
    // Equal functions would be made one.
    black_box(1);
    black_box(make())
}
#[inline(never)]
fn indirect_by<T>(make: impl FnOnce() -> T) -> T {
    // Equal functions would be made one.
    black_box(2);
    black_box(make())
}
#[inline(never)]
fn reachable_by<T>(make: impl FnOnce() -> T) -> T {
    // Equal functions would be made one.
    black_box(3);
    black_box(make())
}

static KEPT: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());

fn keep<T>(value: Box<T>) {
    KEPT.store(Box::into_raw(value).cast(), Ordering::SeqCst);
}

struct Node {
    next: RefCell<Option<Rc<Node>>>,
    parent: RefCell<Weak<Node>>,
    _pad: [u64; 4],
}

fn node() -> Rc<Node> {
    Rc::new(Node { next: RefCell::new(None), parent: RefCell::new(Weak::new()), _pad: [1; 4] })
}

type Case = (&'static str, &'static str, fn());

const CASES: &[Case] = &[
    ("a_forgotten_box", "unreachable", || std::mem::forget(unreachable_by(|| Box::new([7u8; 100])))),
    ("a_forgotten_vector_of_strings", "unreachable indirect", || {
        let mut lost = unreachable_by(|| Vec::<String>::with_capacity(10));
        indirect_by(|| lost.extend((0..10).map(|n| format!("string number {n} of the heap"))));
        std::mem::forget(lost);
    }),
    ("a_leaked_box_kept", "reachable", || {
        let kept: &'static mut [u64] = reachable_by(|| Box::leak(Box::new([3u64; 50])));
        KEPT.store(kept.as_mut_ptr().cast(), Ordering::SeqCst);
    }),
    ("a_leaked_box_lost", "unreachable", || {
        black_box(unreachable_by(|| Box::leak(Box::new([3u64; 50]))));
    }),
    ("a_ring_of_counted", "unreachable indirect", || {
        let first = unreachable_by(node);
        let second = indirect_by(node);
        *first.next.borrow_mut() = Some(second.clone());
        *second.next.borrow_mut() = Some(first);
    }),
    ("a_ring_with_a_weak_link", "", || {
        let first = node();
        let second = node();
        *first.next.borrow_mut() = Some(second.clone());
        *second.parent.borrow_mut() = Rc::downgrade(&first);
    }),
    ("a_counted_one_kept", "reachable", || {
        let counted = reachable_by(|| Arc::new([5u64; 10]));
        // The count stands before the value: this is a pointer to the inside.
        keep(reachable_by(|| Box::new(counted)));
    }),
    ("maps_kept", "reachable", || {
        keep(reachable_by(|| {
            let hash: HashMap<String, u64> = (0..1000).map(|n| (format!("a key of the map {n}"), n)).collect();
            let tree: BTreeMap<u64, String> = (0..1000).map(|n| (n, format!("a value of the map {n}"))).collect();
            let queue: VecDeque<Box<u64>> = (0..100).map(Box::new).collect();
            Box::new((hash.into_iter().collect::<Vec<_>>(), tree, queue))
        }));
    }),
    ("a_static_cell", "reachable", || {
        static CELL: OnceLock<Mutex<Vec<Box<[u8; 64]>>>> = OnceLock::new();
        reachable_by(|| CELL.get_or_init(Mutex::default).lock().unwrap().extend((0..20).map(|n| Box::new([n; 64]))));
    }),
    ("a_thread_local", "reachable", || {
        thread_local!(static OWN: RefCell<Option<Box<[u8; 300]>>> = const { RefCell::new(None) });
        OWN.with(|own| {
            let value = std::mem::ManuallyDrop::new(reachable_by(|| Box::new([9u8; 300])));
            // Kept without a destructor.
            KEPT.store(value.as_ptr().cast_mut(), Ordering::SeqCst);
            assert!(own.borrow().is_none());
        });
    }),
    ("manually_dropped", "unreachable", || {
        black_box(std::mem::ManuallyDrop::new(unreachable_by(|| Box::new([9u8; 300]))));
    }),
    ("a_raw_pointer_lost", "unreachable", || {
        black_box(Box::into_raw(unreachable_by(|| Box::new([9u8; 30]))));
    }),
    ("a_thread_still_at_work", "reachable", || {
        static READY: AtomicBool = AtomicBool::new(false);
        std::thread::spawn(|| {
            let own = reachable_by(|| (0..50).map(|n| Box::new([n; 40])).collect::<Vec<Box<[u64; 40]>>>());
            READY.store(true, Ordering::SeqCst);
            loop {
                std::thread::park();
                black_box(&own);
            }
        });
        while !READY.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }),
    ("everything_dropped", "", || drop(black_box(vec![String::from("gone"); 10]))),
    ("the_end_by_process_exit", "reachable", || {
        let kept = reachable_by(|| Box::new([1u64; 20]));
        let kept = black_box(&kept);
        tell("reachable");
        std::process::exit(i32::from(kept[0] == 0));
    }),
];

fn tell(classes: &str) {
    let count = |class: &str| if classes.split(' ').any(|c| c == class) { -1 } else { 0 };
    println!(
        "unreachable {} indirect {} possible 0 reachable {}",
        count("unreachable"),
        count("indirect"),
        count("reachable")
    );
}

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|case| println!("{}", case.0));
        return;
    };
    let case = CASES.iter().find(|case| case.0 == wanted).expect("a case");
    case.2();
    tell(case.1);
}
