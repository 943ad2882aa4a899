/* flags: -D_GLIBCXX_USE_CXX11_ABI=0
 * Strings as they were before C++11: pointers stand behind a header of length, capacity and
 * owners; see reach.h. */
#include "reach_by.h"
#include <map>
#include <string>
#include <vector>

using std::string;
void *global;
static const string long_text(100, 'x');

CASE(a_string_kept) { global = reachable_by([] { return new string(long_text.begin(), long_text.end()); }); }
CASE(a_string_lost) {
    auto *lost = unreachable_by([] { return new string; });
    indirect_by([lost] { lost->assign(90, 'y'); return 0; });
    OPAQUE(lost);
}
CASE(a_string_that_grew) {
    global = reachable_by([] {
        auto *text = new string("begin");
        for (int i = 0; i < 300; i++) *text += "more";
        return text;
    });
}
CASE(one_text_of_two_strings) {
    global = reachable_by([] {
        string first(80, 'z');
        return new std::vector<string>(10, first);
    });
}
CASE(a_map_of_strings) {
    global = reachable_by([] {
        auto *all = new std::map<string, string>;
        for (int i = 0; i < 40; i++) (*all)[string(20 + i, 'k')] = string(30 + i, 'v');
        return all;
    });
}

int main(int argc, char **argv) { return run_cases(argc, argv); }
