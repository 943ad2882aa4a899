//! Owners of Rust's standard library, kept and lost: blocks made below a function named after
//! their class must be of it. Without an argument prints the cases; with one runs it and prints
//! which classes it has (-1: some).

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::CString;
use std::hint::black_box;
use std::mem::{ManuallyDrop, MaybeUninit, forget};
use std::ptr::{NonNull, null_mut};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, LazyLock, Mutex, mpsc};

macro_rules! makers {
    ($($name:ident $number:literal),*) => {$(
        #[inline(never)]
        fn $name<T>(make: impl FnOnce() -> T) -> T {
            // Equal functions would be made one.
            black_box($number);
            black_box(make())
        }
    )*};
}
makers!(unreachable_by 1, indirect_by 2, possible_by 3, reachable_by 4);

static KEPT: AtomicPtr<u8> = AtomicPtr::new(null_mut());

fn keep<T>(value: Box<T>) {
    KEPT.store(Box::into_raw(value).cast(), Ordering::SeqCst);
}

fn text(number: usize) -> String {
    format!("text number {number} of the heap, long enough")
}

/// A node of a graph that counts its references.
#[derive(Default)]
struct Node {
    to: RefCell<Vec<Rc<Node>>>,
    back: RefCell<Weak<Node>>,
    _pad: [u64; 3],
}

trait Shape {
    fn area(&self) -> u64;
}
struct Square(Box<[u64]>);
impl Shape for Square {
    fn area(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// A list by raw pointers.
struct Raw {
    _next: *mut Raw,
    _value: [u64; 4],
}

fn raw(next: *mut Raw) -> *mut Raw {
    Box::into_raw(Box::new(Raw { _next: next, _value: [1; 4] }))
}

type Case = (&'static str, &'static str, fn());

const CASES: &[Case] = &[
    ("a_vector_leaked", "unreachable", || {
        black_box(unreachable_by(|| vec![1u64; 30].leak()));
    }),
    ("a_string_leaked_and_kept_from_its_middle", "possible", || {
        let words: &'static mut str = possible_by(|| text(1).leak());
        KEPT.store(words[4..].as_ptr().cast_mut(), Ordering::SeqCst);
    }),
    ("a_text_for_c_that_never_came_back", "unreachable", || {
        black_box(unreachable_by(|| CString::new(text(2)).unwrap().into_raw()));
    }),
    ("a_graph_of_counted_nodes_forgotten", "unreachable indirect", || {
        let root = unreachable_by(|| Rc::new(Node::default()));
        indirect_by(|| root.to.borrow_mut().extend((0..5).map(|_| Rc::new(Node::default()))));
        let children: Vec<Rc<Node>> = root.to.borrow().clone();
        indirect_by(|| children.iter().for_each(|child| child.to.borrow_mut().push(root.clone())));
    }),
    ("a_tree_with_weak_ways_back", "", || {
        let root = Rc::new(Node::default());
        for _ in 0..5 {
            let child = Rc::new(Node::default());
            *child.back.borrow_mut() = Rc::downgrade(&root);
            root.to.borrow_mut().push(child);
        }
    }),
    ("the_room_of_a_dropped_object_with_a_weak_reference", "reachable", || {
        let object = reachable_by(|| Rc::new([4u64; 8]));
        keep(reachable_by(|| Box::new(Rc::downgrade(&object))));
    }),
    ("one_reference_too_many", "unreachable", || {
        let object = unreachable_by(|| Arc::new([4u64; 8]));
        forget(object.clone());
        drop(object);
    }),
    ("a_ring_of_arcs_over_threads", "unreachable indirect", || {
        struct Link(Mutex<Option<Arc<Link>>>);
        let first = unreachable_by(|| Arc::new(Link(Mutex::new(None))));
        let second = indirect_by(|| Arc::new(Link(Mutex::new(None))));
        *first.0.lock().unwrap() = Some(second.clone());
        std::thread::spawn(move || *second.0.lock().unwrap() = Some(first)).join().unwrap();
    }),
    ("a_trait_object_kept", "reachable", || {
        let shapes: Vec<Box<dyn Shape>> =
            reachable_by(|| vec![Box::new(Square(vec![3; 20].into())) as _, Box::new(Square(vec![4; 9].into())) as _]);
        assert_eq!(shapes[0].area(), 60);
        keep(reachable_by(|| Box::new(shapes)));
    }),
    ("a_trait_object_lost", "unreachable indirect", || {
        let inner = indirect_by(|| vec![3u64; 20].into_boxed_slice());
        let shape: Box<dyn Shape> = unreachable_by(|| Box::new(Square(inner)) as _);
        assert_eq!(shape.area(), 60);
        forget(shape);
    }),
    ("an_any_kept", "reachable", || {
        keep(reachable_by(|| Box::new(Box::new(text(3)) as Box<dyn Any>)));
    }),
    ("a_closure_kept", "reachable", || {
        let own = reachable_by(|| text(4));
        keep(reachable_by(|| Box::new(Box::new(move || own.len()) as Box<dyn Fn() -> usize>)));
    }),
    ("a_closure_lost", "unreachable indirect", || {
        let own = indirect_by(|| text(5));
        let closure: Box<dyn Fn() -> usize> = unreachable_by(|| Box::new(move || own.len()) as _);
        assert!(closure() > 10);
        forget(closure);
    }),
    ("a_list_by_raw_pointers_lost", "unreachable indirect", || {
        let mut head = null_mut();
        for _ in 0..6 {
            head = indirect_by(|| raw(head));
        }
        black_box(unreachable_by(|| raw(head)));
    }),
    ("a_list_by_raw_pointers_kept", "reachable", || {
        let mut head = null_mut();
        for _ in 0..6 {
            head = reachable_by(|| raw(head));
        }
        KEPT.store(head.cast(), Ordering::SeqCst);
    }),
    ("a_linked_list_forgotten", "unreachable indirect", || {
        // Its nodes point to each other: the oldest is the direct leak.
        let mut list = LinkedList::new();
        unreachable_by(|| list.push_back([1u64; 4]));
        indirect_by(|| (0..5).for_each(|n| list.push_back([n; 4])));
        forget(list);
    }),
    ("a_heap_and_a_queue_kept", "reachable", || {
        keep(reachable_by(|| {
            let heap: BinaryHeap<String> = (0..40).map(text).collect();
            let queue: VecDeque<String> = (0..40).map(text).collect();
            Box::new((heap, queue))
        }));
    }),
    ("hash_maps_kept", "reachable", || {
        // Of four sizes, and of entries of several sizes: their pointers stand behind the entries.
        keep(reachable_by(|| {
            let maps: Vec<HashMap<usize, String>> = [1, 5, 12, 1000].map(|n| (0..n).map(|n| (n, text(n))).collect()).into();
            let sets: Vec<HashSet<u16>> = [1, 5, 12, 1000].map(|n| (0..n).collect()).into();
            Box::new((maps, sets))
        }));
    }),
    ("hash_maps_that_were_emptied", "reachable", || {
        keep(reachable_by(|| {
            let mut map: HashMap<usize, String> = (0..100).map(|n| (n, text(n))).collect();
            map.retain(|&key, _| key > 90);
            let mut other: HashMap<u64, u64> = (0..6).map(|n| (n, n)).collect();
            other.clear();
            Box::new((map, other))
        }));
    }),
    ("a_hash_map_forgotten", "unreachable indirect", || {
        let mut map: HashMap<usize, String> = unreachable_by(|| HashMap::with_capacity(100));
        indirect_by(|| (0..100).for_each(|n| drop(map.insert(n, text(n)))));
        forget(map);
    }),
    ("a_tree_set_kept", "reachable", || {
        keep(reachable_by(|| Box::new((0..200).map(text).collect::<BTreeSet<String>>())));
    }),
    ("a_tree_map_forgotten", "unreachable indirect", || {
        let mut map: BTreeMap<u64, String> = BTreeMap::new();
        let words: Vec<String> = indirect_by(|| (0..8).map(text).collect());
        unreachable_by(|| words.into_iter().zip(0..).for_each(|(word, key)| drop(map.insert(key, word))));
        forget(map);
    }),
    ("a_channel_whose_messages_nobody_took", "reachable", || {
        let (sender, receiver) = reachable_by(mpsc::channel::<Box<[u64; 20]>>);
        reachable_by(|| (0..100).for_each(|n| sender.send(Box::new([n; 20])).unwrap()));
        keep(reachable_by(|| Box::new((sender, receiver))));
    }),
    ("a_static_made_when_first_used", "reachable", || {
        static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| (0..10).map(text).collect());
        reachable_by(|| assert_eq!(WORDS.len(), 10));
    }),
    ("a_thread_local_dropped_with_its_thread", "", || {
        thread_local!(static OWN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
        std::thread::spawn(|| OWN.with(|own| own.borrow_mut().extend((0..10).map(text)))).join().unwrap();
    }),
    ("a_thread_local_without_a_drop", "unreachable", || {
        thread_local!(static OWN: Cell<Option<NonNull<[u64; 20]>>> = const { Cell::new(None) });
        let set = || OWN.set(Some(NonNull::from(Box::leak(unreachable_by(|| Box::new([7; 20]))))));
        std::thread::spawn(set).join().unwrap();
    }),
    ("written_over_without_a_drop", "unreachable", || {
        let mut place = MaybeUninit::<String>::uninit();
        place.write(unreachable_by(|| text(6)));
        place.write(text(7));
        // SAFETY: it was written.
        unsafe { place.assume_init_drop() };
    }),
    ("a_part_of_a_forgotten_whole", "unreachable", || {
        let whole = ManuallyDrop::new((text(8), unreachable_by(|| text(9))));
        // SAFETY: the first half is not used again.
        drop(unsafe { std::ptr::read(&whole.0) });
        black_box(&whole);
    }),
    ("a_guard_of_a_lock_forgotten", "reachable", || {
        static LOCK: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let mut guard = LOCK.lock().unwrap();
        reachable_by(|| guard.extend((0..5).map(text)));
        forget(guard);
    }),
    ("left_by_a_panic", "unreachable", || {
        std::panic::set_hook(Box::new(|_| {}));
        let caught = std::panic::catch_unwind(|| {
            let own = text(1);
            let lost = Box::into_raw(unreachable_by(|| Box::new([1u64; 9])));
            assert!(black_box(own).is_empty() && lost.is_null());
        });
        assert!(caught.is_err());
        drop(caught);
        drop(std::panic::take_hook());
    }),
    ("a_thread_that_parks_with_its_own", "reachable", || {
        static READY: AtomicBool = AtomicBool::new(false);
        std::thread::spawn(|| {
            let own = reachable_by(|| (0..10).map(|n| (n, text(n))).collect::<BTreeMap<_, _>>());
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
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        CASES.iter().for_each(|case| println!("{}", case.0));
        return;
    };
    let case = CASES.iter().find(|case| case.0 == wanted).expect("a case");
    case.2();
    black_box(KEPT.load(Ordering::SeqCst));
    let count = |class: &str| if case.1.split(' ').any(|c| c == class) { -1 } else { 0 };
    println!(
        "unreachable {} indirect {} possible {} reachable {}",
        count("unreachable"),
        count("indirect"),
        count("possible"),
        count("reachable")
    );
}
