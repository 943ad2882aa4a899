//! Leaks of a Rust program: 12 boxes of 200 bytes by `keeper::Shelf::forget_boxes`, one vector
//! grown by pushes to a capacity of 1024 u64 by `keeper::grow_vector` and forgotten; maps, strings
//! and threads that leave nothing. Prints a sum, status 4.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

mod keeper {
    use std::hint::black_box;

    pub struct Shelf;

    impl Shelf {
        #[inline(never)]
        pub fn forget_boxes(&self, count: usize) {
            for _ in 0..count {
                std::mem::forget(black_box(Box::new([0u8; 200])));
            }
        }
    }

    #[inline(never)]
    pub fn grow_vector(length: u64) -> usize {
        let mut numbers = Vec::new();
        for number in 0..length {
            numbers.push(black_box(number));
        }
        let capacity = numbers.capacity();
        std::mem::forget(black_box(numbers));
        capacity
    }
}

#[inline(never)]
fn nothing_left() -> usize {
    let mut words: HashMap<String, Vec<usize>> = HashMap::new();
    let mut tree = BTreeMap::new();
    for number in 0..2000usize {
        words.entry(format!("word {}", number % 300)).or_default().push(number);
        tree.insert(number * 7919 % 2000, format!("{number}"));
    }
    let threads: Vec<_> = (0..4)
        .map(|thread| std::thread::spawn(move || (0..500).map(|i| format!("{thread} {i}").len()).sum::<usize>()))
        .collect();
    let sum: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    black_box(words).len() + black_box(tree).len() + sum
}

fn main() {
    keeper::Shelf.forget_boxes(12);
    let capacity = keeper::grow_vector(1000);
    println!("{} {}", capacity, nothing_left());
    std::process::exit(4);
}
