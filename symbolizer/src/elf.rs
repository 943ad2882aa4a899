//! One ELF file: what identifies it, what it refers to, and its sections.
//!
//! Everything here comes from bytes that may be damaged; what cannot be read is an error with
//! the file's place in it, never a panic.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use object::read::elf::{ElfFile64, ElfSection64, SymbolTable};
use object::read::{CompressedData, CompressionFormat};
use object::{LittleEndian, Object, ObjectSection};
use typed_arena::Arena;

use crate::files::{FileData, FileSource, Wanted};
use crate::problem::Problem;

/// Largest section that is decompressed, and how far zstd and zlib may expand one: a header
/// that promises more is damaged or hostile.
const MAX_SECTION: u64 = 1 << 36;
const MAX_RATIO: u64 = 20_000;
/// Largest symbol file inside a file; those of the largest programs have tens of megabytes.
const MAX_MINI: usize = 1 << 28;

/// Bytes that parsed files borrow from: files as opened, sections as decompressed.
#[derive(Default)]
pub(crate) struct Store {
    files: Arena<FileData>,
    buffers: Arena<Vec<u8>>,
}

impl Store {
    pub(crate) fn keep_file(&self, file: FileData) -> &[u8] {
        self.files.alloc(file)
    }

    pub(crate) fn keep(&self, bytes: Vec<u8>) -> &[u8] {
        self.buffers.alloc(bytes)
    }
}

/// A parsed ELF file.
pub(crate) struct Elf<'d> {
    /// Where it was found.
    pub(crate) place: PathBuf,
    pub(crate) data: &'d [u8],
    file: ElfFile64<'d, LittleEndian>,
    build_id: Option<&'d [u8]>,
}

impl<'d> Elf<'d> {
    pub(crate) fn parse(place: &Path, data: &'d [u8]) -> Result<Self, Problem> {
        let damaged = |error: object::Error| Problem::Damaged {
            path: place.to_owned(),
            what: error.to_string(),
        };
        // Magic, 64-bit, little-endian.
        if !data.starts_with(&[0x7f, b'E', b'L', b'F', 2, 1]) {
            return Err(Problem::Foreign {
                path: place.to_owned(),
            });
        }
        let file = ElfFile64::parse(data).map_err(damaged)?;
        let build_id = file
            .build_id()
            .map_err(damaged)?
            .filter(|id| !id.is_empty());
        Ok(Elf {
            place: place.to_owned(),
            data,
            file,
            build_id,
        })
    }

    pub(crate) fn build_id(&self) -> Option<&'d [u8]> {
        self.build_id
    }

    /// A section by its name, or by the name that old GNU tools give it when it is compressed.
    fn find_section(&self, name: &str) -> Option<ElfSection64<'d, '_, LittleEndian>> {
        self.file.section_by_name(name).or_else(|| {
            let stem = name.strip_prefix(".debug_")?;
            self.file.section_by_name(&format!(".zdebug_{stem}"))
        })
    }

    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.find_section(name)
            .and_then(|section| section.compressed_data().ok())
            .is_some_and(|section| !section.data.is_empty())
    }

    pub(crate) fn has_dwarf(&self) -> bool {
        self.has_section(".debug_info")
    }

    /// The section's bytes, still compressed if they are; empty if there is no such section.
    pub(crate) fn section(&self, name: &str) -> Result<CompressedData<'d>, String> {
        match self.find_section(name) {
            Some(section) => section
                .compressed_data()
                .map_err(|error| format!("section {name}: {error}")),
            None => Ok(CompressedData::none(&[])),
        }
    }

    /// `.symtab`; empty if there is none.
    pub(crate) fn symbols(&self) -> Symbols<'d, '_> {
        Symbols {
            file: &self.file,
            table: self.file.elf_symbol_table(),
        }
    }

    /// `.dynsym`; empty if there is none.
    pub(crate) fn exports(&self) -> Symbols<'d, '_> {
        Symbols {
            file: &self.file,
            table: self.file.elf_dynamic_symbol_table(),
        }
    }

    /// The compressed ELF file with the symbol table that some distributions leave in stripped
    /// files (Fedora's "MiniDebugInfo").
    pub(crate) fn mini_debug_info(&self, store: &'d Store) -> Option<Elf<'d>> {
        let section = self.section(".gnu_debugdata").ok()?;
        if section.data.is_empty() {
            return None;
        }
        let mut bytes = Bounded(Vec::new());
        lzma_rs::xz_decompress(&mut &*section.data, &mut bytes).ok()?;
        Elf::parse(&self.place, store.keep(bytes.0)).ok()
    }

    /// Name and checksum of the debug file.
    pub(crate) fn debuglink(&self) -> Option<(&'d OsStr, u32)> {
        let (name, crc) = self.file.gnu_debuglink().ok()??;
        Some((OsStr::from_bytes(name), crc))
    }

    /// Name and build-id of the supplementary file.
    pub(crate) fn debugaltlink(&self) -> Option<(&'d Path, &'d [u8])> {
        let (name, id) = self.file.gnu_debugaltlink().ok()??;
        Some((Path::new(OsStr::from_bytes(name)), id))
    }
}

/// One symbol table and the file it is in.
pub(crate) struct Symbols<'d, 'e> {
    pub(crate) file: &'e ElfFile64<'d, LittleEndian>,
    pub(crate) table: &'e SymbolTable<'d, object::elf::FileHeader64<LittleEndian>>,
}

impl Symbols<'_, '_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// Bytes that refuse to grow past [`MAX_MINI`].
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_MINI {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of a section, which may be compressed.
pub(crate) fn decompress(section: CompressedData<'_>) -> Result<Cow<'_, [u8]>, String> {
    if section.format == CompressionFormat::None {
        return Ok(Cow::Borrowed(section.data));
    }
    let size = section.uncompressed_size;
    let input = section.data.len() as u64;
    if size > MAX_SECTION || size / MAX_RATIO > input {
        return Err(format!("claims to hold {size} bytes in {input}"));
    }
    let mut bytes = Vec::new();
    usize::try_from(size)
        .ok()
        .and_then(|size| bytes.try_reserve_exact(size).ok())
        .ok_or_else(|| format!("{size} bytes do not fit into memory"))?;
    // Never more than promised, or a small file could fill the memory.
    let read = match section.format {
        CompressionFormat::Zlib => flate2::read::ZlibDecoder::new(section.data)
            .take(size)
            .read_to_end(&mut bytes),
        CompressionFormat::Zstandard => zstd::stream::read::Decoder::with_buffer(section.data)
            .and_then(|decoder| decoder.take(size).read_to_end(&mut bytes)),
        other => return Err(format!("unknown compression {other:?}")),
    };
    read.map_err(|error| format!("cannot be decompressed: {error}"))?;
    if bytes.len() as u64 != size {
        return Err(format!("ends after {} of {size} bytes", bytes.len()));
    }
    Ok(Cow::Owned(bytes))
}

/// The first place whose file is accepted; or else the first thing that was wrong, if there was
/// a file at all.
pub(crate) fn find<'d>(
    files: &dyn FileSource,
    store: &'d Store,
    wanted: &Wanted<'_>,
    accept: impl Fn(&Elf<'d>) -> Result<(), Problem>,
) -> Result<Elf<'d>, Option<Problem>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    let mut problem = None;
    for place in files.candidates(wanted) {
        let tried = match files.open(&place) {
            Ok(data) => Elf::parse(&place, store.keep_file(data)).and_then(|elf| {
                accept(&elf)?;
                Ok(elf)
            }),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => continue,
            Err(error) => Err(Problem::Missing {
                path: place,
                why: error.to_string(),
            }),
        };
        match tried {
            Ok(elf) => return Ok(elf),
            Err(what) => problem = problem.or(Some(what)),
        }
    }
    Err(problem)
}
