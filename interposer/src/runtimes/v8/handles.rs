//! A handle scope of our own, where V8 calls without one: at the end of an environment.
//!
//! Up to Node 24 the class's constructor and destructor are exported. Since then they are inline
//! code in V8's header, which works on three words in the isolate: the next free handle, the end
//! of the block of handles, the number of open scopes. Where these words are is found by what
//! they do: a function that makes a handle returns what was the next free one, and makes that one larger.

use super::api::Isolate;
use super::optional::Optional;
use crate::symbols::Name;
use core::ffi::c_void;
use core::mem::MaybeUninit;

/// `v8::HandleScope`, with room to spare.
type Scope = MaybeUninit<[usize; 8]>;

/// The class's own functions.
#[derive(Clone, Copy)]
pub struct Api {
    /// The constructor.
    open: unsafe extern "C" fn(*mut Scope, *mut Isolate),
    /// The destructor.
    close: unsafe extern "C" fn(*mut Scope),
}

/// See [`Api`].
pub static API: Optional<Api, 2> = Optional::new(
    [
        Name::new("_ZN2v811HandleScopeC1EPNS_7IsolateE"),
        Name::new("_ZN2v811HandleScopeD1Ev"),
    ],
    "",
);

/// `HandleScope::DeleteExtensions`.
pub static DELETE_EXTENSIONS: Optional<unsafe extern "C" fn(*mut Scope, *mut Isolate), 1> =
    Optional::new(
        [Name::new(
            "_ZN2v811HandleScope16DeleteExtensionsEPNS_7IsolateE",
        )],
        "",
    );

/// `v8::internal::HandleScopeData`.
#[repr(C)]
struct Data {
    next: usize,
    limit: usize,
    level: i32,
    sealed: i32,
}

/// Words of an isolate that are looked at; its state of handles is near its beginning.
const WORDS: usize = 256;

/// Where the state of handles is in isolates: offset in words; 0: not known.
pub type Place = u16;

/// Calls `make`, which makes a handle, and finds out by it where handles are.
///
/// # Safety
/// On the isolate's thread, with a scope open; `make` returns a fresh handle or null.
pub unsafe fn learn(
    isolate: *mut Isolate,
    make: impl FnOnce() -> *mut c_void,
) -> (*mut c_void, Place) {
    let words = isolate.cast::<usize>();
    // SAFETY: an isolate is much larger.
    let read =
        || core::array::from_fn::<usize, WORDS, _>(|n| unsafe { words.add(n).read_volatile() });
    let before = read();
    let handle = make();
    let after = read();
    let mut place = 0;
    for (n, (old, new)) in (0..).zip(before.iter().zip(after)) {
        let is_next = *old == handle as usize && new == *old + size_of::<usize>();
        let limit = before.get(usize::from(n) + 1).copied().unwrap_or(0);
        let level = before.get(usize::from(n) + 2).copied().unwrap_or(0) as i32;
        if is_next && limit >= new && (1..1 << 16).contains(&level) {
            place = n;
        }
    }
    (handle, place)
}

/// Runs something within a handle scope; returns false if that is not possible.
///
/// # Safety
/// On the isolate's thread, at rest; the place is what [`learn`] found.
pub unsafe fn within(isolate: *mut Isolate, place: Place, run: impl FnOnce()) -> bool {
    let mut scope = Scope::uninit();
    // SAFETY: the caller's promise; what V8's header does.
    unsafe {
        if let Some(api) = API.get() {
            (api.open)(&mut scope, isolate);
            run();
            (api.close)(&mut scope);
            return true;
        }
        let Some(delete_extensions) = DELETE_EXTENSIONS.get().filter(|_| place != 0) else {
            return false;
        };
        let data = isolate.cast::<usize>().add(place.into()).cast::<Data>();
        let (next, limit) = ((*data).next, (*data).limit);
        (*data).level += 1;
        run();
        (*data).next = next;
        (*data).level -= 1;
        if (*data).limit != limit {
            (*data).limit = limit;
            delete_extensions(&mut scope, isolate);
        }
    }
    true
}
