/* Makers of objects for the C++ cases; see reach.h. */
#pragma once
#include "reach.h"

/* Containers allocate by themselves: every block made below one of these is of its
 * class. At least one is. */
#define MAKER_BY(name, what)                                                      \
    template <class F> FRAME auto name(F make) {                                  \
        made[what] = -1;                                                          \
        auto result = make();                                                     \
        __asm__ volatile("" : : : "memory"); /* no jump out of this frame */      \
        return result;                                                            \
    }
MAKER_BY(unreachable_by, UNREACHABLE)
MAKER_BY(indirect_by, INDIRECT)
MAKER_BY(possible_by, POSSIBLE)
MAKER_BY(reachable_by, REACHABLE)
