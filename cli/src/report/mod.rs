//! `leak report`: what logs say, for people or for programs.

mod builtin;
mod checks;
mod frees;
mod growth;
mod hiding;
mod hints;
mod js;
mod json;
mod load;
mod loss;
mod marks;
mod memory;
mod named;
mod names;
mod page;
mod progress;
mod reach;
mod shorten;
mod signals;
mod source;
mod stack;
mod text;
pub mod verdict;
mod view;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use heap::{Ending, Figures, Nanos, Profile, WarmUp};
use symbolizer::LocalFiles;

use crate::error::Error;
use crate::flags::{Format, Merge, Moment, ReportFlags, Sort};
use crate::paint::Paint;
use loss::Loss;
use names::Names;
use page::Sums;
use progress::Progress;
use source::Sources;
use view::View;

pub use load::Loaded;
pub use named::Named;

/// Sites in a text, unless told otherwise.
const DEFAULT_TOP: usize = 10;

/// What the sites are about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// The blocks that are left at the end.
    #[default]
    End,
    /// The blocks that were there when the heap was largest.
    Peak,
    /// The blocks that were freed before their thread's next allocation.
    Temporary,
    /// The blocks that were left when the runtime was torn down; at the end where none was.
    Teardown,
    /// The blocks that are left at the end, of sites that grow.
    Growing,
}

/// What to report and how, as validated.
#[derive(Clone, Debug)]
pub struct Options {
    /// For whom.
    pub format: Format,
    /// How many sites; `None` for all.
    pub top: Option<usize>,
    /// Bytes below which a site is left out.
    pub min_bytes: u64,
    /// What makes a site.
    pub merge: Merge,
    /// Whether the place in the program makes it instead where there is JavaScript.
    pub place_first: bool,
    /// What it is about.
    pub subject: Subject,
    /// Whether it is about the teardown instead where there was one.
    pub teardown_first: bool,
    /// The classes that count; all if there are none.
    pub kinds: Option<Vec<heap::Class>>,
    /// What orders it.
    pub sort: Sort,
    /// Where warm-ups end, if it is about growth.
    pub warm_up: Option<WarmUp>,
    /// Whether sites that have none of the subject are left out.
    pub only_present: bool,
    /// Whether each process has its own report.
    pub per_process: bool,
    /// Whether no frames are left out in text.
    pub all_frames: bool,
    /// Where debug information may be.
    pub symbols: symbolizer::Options,
    /// Where the JavaScript heap by stack goes as well.
    pub heapprofile: Option<PathBuf>,
    /// Colours.
    pub paint: Paint,
}

impl From<&ReportFlags> for Options {
    fn from(flags: &ReportFlags) -> Options {
        let subject = match (flags.peak, flags.temporary) {
            (true, _) => Subject::Peak,
            (_, true) => Subject::Temporary,
            _ if flags.growing => Subject::Growing,
            _ if flags.at == Some(Moment::Teardown) => Subject::Teardown,
            _ => Subject::End,
        };
        let text = flags.format == Format::Text;
        Options {
            format: flags.format,
            top: match flags.top {
                Some(0) => None,
                None if text => Some(DEFAULT_TOP),
                top => top,
            },
            min_bytes: flags.min_bytes.unwrap_or(0),
            merge: flags.merge.unwrap_or(Merge::Stack),
            place_first: text && flags.merge.is_none(),
            subject,
            teardown_first: text
                && subject == Subject::End
                && flags.at.is_none()
                && flags.kind.is_empty()
                && flags.sort.is_none(),
            kinds: (!flags.kind.is_empty())
                .then(|| flags.kind.iter().copied().map(Into::into).collect()),
            sort: flags.sort.unwrap_or(match subject {
                Subject::End | Subject::Teardown | Subject::Growing => Sort::Bytes,
                Subject::Peak => Sort::Peak,
                Subject::Temporary => Sort::Temporary,
            }),
            warm_up: flags.growing.then(|| {
                flags
                    .warm_up
                    .map_or(WarmUp::Detected, |span| WarmUp::Given(Nanos(span)))
            }),
            only_present: text || subject != Subject::End,
            per_process: flags.per_process,
            all_frames: flags.all_frames,
            symbols: flags.symbols.options(),
            heapprofile: flags.heapprofile.clone(),
            paint: Paint::new(flags.color, &io::stdout()),
        }
    }
}

impl Options {
    /// Whether a site has any of what the report is about.
    fn shows(&self, figures: &Figures) -> bool {
        if !self.only_present {
            return true;
        }
        if self.teardown_first && figures.teardown_blocks > 0 {
            return true;
        }
        match (self.subject, self.sort) {
            (Subject::Teardown, _) => figures.teardown_blocks > 0,
            (Subject::Peak, _) | (Subject::End, Sort::Peak) => figures.peak_blocks > 0,
            (Subject::Temporary, _) | (Subject::End, Sort::Temporary) => figures.temporary > 0,
            (Subject::End, Sort::Allocations | Sort::Allocated) => {
                figures.allocations + figures.reallocations > 0
            }
            (Subject::End, Sort::Bytes | Sort::Blocks) | (Subject::Growing, _) => {
                figures.blocks > 0
            }
        }
    }

    /// The same, or about the teardown if that comes first and one of these processes had one;
    /// by place if that comes first and one of them ran JavaScript.
    fn about(&self, profiles: &[Profile]) -> Options {
        let mut options = self.clone();
        let torn_down = |profile: &Profile| profile.totals.teardown.is_some();
        if self.teardown_first && profiles.iter().any(torn_down) {
            options.subject = Subject::Teardown;
        }
        if self.place_first && profiles.iter().any(|profile| !profile.codes.is_empty()) {
            options.merge = Merge::Place;
        }
        options
    }

    /// The few sites that end a run.
    pub fn summary(top: usize, paint: Paint) -> Options {
        Options {
            top: Some(top),
            teardown_first: true,
            place_first: true,
            paint,
            ..Options::whole()
        }
    }

    /// What a verdict is about.
    pub fn judged(growing: bool) -> Options {
        Options {
            warm_up: growing.then_some(WarmUp::Detected),
            ..Options::whole()
        }
    }

    /// Everything that was not freed.
    fn whole() -> Options {
        Options {
            format: Format::Text,
            top: None,
            min_bytes: 0,
            merge: Merge::Stack,
            place_first: false,
            subject: Subject::End,
            teardown_first: false,
            kinds: None,
            sort: Sort::Bytes,
            warm_up: None,
            only_present: true,
            per_process: false,
            all_frames: false,
            symbols: symbolizer::Options::default(),
            heapprofile: None,
            paint: Paint::PLAIN,
        }
    }
}

/// Reports on standard output; what is wrong with logs is told on stderr. Returns whether all
/// was well.
pub fn report(logs: &[PathBuf], options: &Options) -> Result<bool, Error> {
    let progress = Progress::new();
    let loaded = load::logs(
        logs,
        options.warm_up,
        &|site| options.shows(&site.figures),
        &progress,
    );
    let mut out = io::BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let written =
        write_with(&mut out, &loaded.profiles, options, &progress).and_then(|()| out.flush());
    progress.clear();
    match written {
        // Who reads no further wants no more.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        other => other.map_err(Error::Output)?,
    }
    for problem in &loaded.problems {
        tell!("leak: {problem}");
    }
    if let Some(path) = &options.heapprofile {
        match js::heapprofile::write(path, &loaded.profiles) {
            Ok(true) => {}
            Ok(false) => return Err(Error::NoJsHeap(path.clone())),
            Err(error) => {
                return Err(Error::WriteFile {
                    path: path.clone(),
                    error,
                });
            }
        }
    }
    let unknown = loaded
        .profiles
        .iter()
        .filter(|profile| !profile.reach.is_known());
    let mut well = loaded.problems.is_empty();
    for profile in unknown.filter(|_| options.kinds.is_some()) {
        tell!(
            "leak: {}: it is not known what was reachable at the end, so --kind leaves all of it out",
            profile.path.display()
        );
        well = false;
    }
    Ok(well)
}

/// Reads logs for a report; the bar appears only if that takes long.
pub fn load(logs: &[PathBuf], options: &Options) -> Loaded {
    let progress = Progress::new();
    let loaded = load::logs(
        logs,
        options.warm_up,
        &|site| options.shows(&site.figures),
        &progress,
    );
    progress.clear();
    loaded
}

/// Writes the report of some processes.
pub fn write(out: &mut impl Write, profiles: &[Profile], options: &Options) -> io::Result<()> {
    write_with(out, profiles, options, &Progress::new())
}

fn write_with(
    out: &mut impl Write,
    profiles: &[Profile],
    options: &Options,
    progress: &Progress,
) -> io::Result<()> {
    if profiles.is_empty() {
        return Ok(());
    }
    let mut names = Names::new(options.symbols.clone());
    let mut sources = Sources::new(options.symbols.sysroot.clone());
    let chunks: Vec<&[Profile]> = if options.per_process {
        profiles.chunks(1).collect()
    } else {
        vec![profiles]
    };
    let several = options.per_process && options.format == Format::Json;
    if several {
        write!(out, "{{\"schema\":1,\"reports\":[")?;
    }
    for (number, profiles) in chunks.into_iter().enumerate() {
        let options = &options.about(profiles);
        let view = View::new(profiles, options, &mut names, &|done| {
            progress.tell("finding names", done as u64, done as u64 + 1);
        });
        progress.clear();
        let loss = Loss::of(profiles, unseen(&view, &names, options));
        names.look_up(frees::places(&view), &|_| {});
        match options.format {
            Format::Json => {
                if number > 0 {
                    writeln!(out, ",")?;
                }
                json::print(out, &view, &loss, &names, options)?;
            }
            Format::Text => {
                if number > 0 {
                    writeln!(out, "\n{}\n", options.paint.faint("-".repeat(78)))?;
                }
                let page = page(&view, &loss, &names, options);
                text::header(out, &page, options.paint)?;
                // What is larger comes first: in a Node server hardly a native block leaks.
                let js_first = js::live(view.profiles) > page.sums.teardown_bytes;
                for js in [js_first, !js_first] {
                    if js {
                        js::print(out, &view, options, &page, &mut sources)?;
                    } else {
                        let sites = view.sites(&names);
                        text::print(out, &page, sites, &mut sources, options.paint)?;
                    }
                }
                frees::print(out, &view, &names, &page, &mut sources, options.paint)?;
            }
        }
    }
    match options.format {
        Format::Json if several => writeln!(out, "]}}"),
        Format::Json => writeln!(out),
        Format::Text => Ok(()),
    }
}

fn unseen(view: &View<'_>, names: &Names, options: &Options) -> Vec<(String, &'static str)> {
    let mut programs: Vec<u32> = (0..view.profiles.len())
        .filter_map(|number| view.program(number))
        .collect();
    programs.sort_unstable();
    programs.dedup();
    let files = LocalFiles::new(&options.symbols);
    let modules = programs
        .into_iter()
        .filter_map(|number| names.module(number));
    modules
        .filter_map(|known| {
            let allocator = builtin::find(&known.module, &files)?;
            Some((known.module.path.display().to_string(), allocator))
        })
        .collect()
}

fn page(view: &View<'_>, loss: &Loss, names: &Names, options: &Options) -> text::Page {
    text::Page {
        processes: view.profiles.iter().map(process).collect(),
        sums: Sums::of(view.profiles),
        reach: reach::Sums::of(view.profiles),
        peak_time: match view.profiles {
            [only] => Some(only.totals.peak_time),
            _ => None,
        },
        checks: checks::line(view.profiles),
        loss: loss.lines(),
        checked: loss.selfcheck.checked,
        hints: hints::lines(view, names, options),
        subject: options.subject,
        sort: Some(options.sort),
        merge: Some(options.merge),
        all: view.all,
        small: view.small,
        late: view.late,
        snapshots: view.snapshots,
        verdicts: view.verdicts,
        memory: memory::sentence(view, names),
        js: js::lines(view.profiles),
        marks: marks::lines(view.profiles),
        all_frames: options.all_frames,
        here: std::env::current_dir().unwrap_or_default(),
    }
}

fn process(profile: &Profile) -> text::ProcessLine {
    let process = &profile.process;
    let ending = match process.ending {
        Ending::Exited { status } => format!("exit status {status}"),
        Ending::Killed => "killed or still running".to_owned(),
        Ending::Signal { signal } => format!("killed by {}", signals::name(signal)),
        Ending::Exec => "then exec".to_owned(),
        Ending::Stopped { .. } => "recording ended early".to_owned(),
    };
    let known = if process.exe.as_os_str().is_empty() {
        &profile.path
    } else {
        &process.exe
    };
    text::ProcessLine {
        command: command(&process.argv, known),
        pid: process.pid,
        forked_from: process.fork_child.then_some(process.ppid),
        duration: process.duration,
        ending,
        live_bytes: profile.totals.live_bytes.0,
    }
}

/// Program and arguments as a shell would take them.
fn command(argv: &[OsString], exe: &Path) -> String {
    if argv.is_empty() {
        return exe.display().to_string();
    }
    let plain = |c: char| c.is_alphanumeric() || "_-+=./:,@%^".contains(c);
    let words = argv.iter().map(|word| {
        let word = word.to_string_lossy();
        let word: String = word
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
