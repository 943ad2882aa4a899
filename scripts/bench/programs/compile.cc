// The source that the cc1plus workload compiles: standard headers and a few
// instantiations of the same template, so that parsing, templates, inlining and
// code generation all have something to do, and some of it repeatedly.
// Preprocessed once, then compiled without the driver.
#include <iostream>
#include <vector>

template <int N>
struct row {
    int weight;
    long cells[N];
};

template <int N>
long filled(std::vector<row<N>> &rows, int count)
{
    for (int i = 0; i < count; i++) {
        row<N> next{};
        next.weight = i * N;
        next.cells[i % N] = i;
        rows.push_back(next);
    }
    long total = 0;
    for (const row<N> &r : rows)
        for (long cell : r.cells)
            total += cell * r.weight;
    return total;
}

template <int N>
long table(int count)
{
    std::vector<row<N>> rows;
    return filled(rows, count);
}

int main(int argc, char **)
{
    std::cout << table<1>(argc) + table<2>(argc) + table<3>(argc) + table<5>(argc) << '\n';
}
