//! Frames at addresses of one file: `addr2frames FILE HEXADDRESS...`. With no address, reads
//! them from standard input.

use std::io::Read;
use std::time::Instant;

use leak_symbolizer::{LocalFiles, Module, Options, Request, symbolize};

fn main() {
    let mut words = std::env::args().skip(1);
    let Some(path) = words.next() else {
        eprintln!("usage: addr2frames FILE HEXADDRESS...");
        std::process::exit(2);
    };
    let mut words: Vec<String> = words.collect();
    if words.is_empty() {
        let mut text = String::new();
        let _ = std::io::stdin().read_to_string(&mut text);
        words = text.split_whitespace().map(str::to_owned).collect();
    }
    let request = Request {
        module: Module {
            path: path.into(),
            build_id: None,
        },
        addresses: words
            .iter()
            .filter_map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok())
            .collect(),
    };
    let options = Options::default();
    let start = Instant::now();
    let symbols = symbolize(
        std::slice::from_ref(&request),
        &options,
        &LocalFiles::new(&options),
        &|_| {},
    );
    let took = start.elapsed();
    for (request, symbols) in std::iter::once(&request).zip(&symbols) {
        for (address, frames) in request.addresses.iter().zip(&symbols.frames) {
            println!("{address:#x}");
            for frame in frames {
                println!(
                    "  {} {}:{}{}",
                    frame.function.as_deref().unwrap_or("??"),
                    frame.file.as_deref().unwrap_or("??"),
                    frame.line.unwrap_or(0),
                    if frame.inlined { " (inlined)" } else { "" }
                );
            }
        }
        if let Some(problem) = &symbols.problem {
            eprintln!("{problem}");
        }
        eprintln!("{:?}, {took:?}", symbols.detail);
    }
}
