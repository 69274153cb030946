// The fused step of a machine: a whole sequence in one call, forth and back. The Python beside it (machine.py and what it is wired
// of) is the reference. Rows are run in chunks of a fixed size over threads, and gradients added chunk by chunk: the same bits,
// whatever the number of threads.
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

#include "chunk.h"
#include "threads.h"

// Much memory that is new costs more than what is done with it where it comes in small pages.
static void in_large_pages(void* at, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 1 << 21, begin = (reinterpret_cast<uintptr_t>(at) + page - 1) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(at) + bytes) / page * page;
    if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);  // where it is refused, all is as before
#endif
}

// 0, or 1 where memory ran out.
template <class L>
static int run(const Sizes* sizes, const Arrays<typename L::Number>* arrays, bool back) try {
    using T = typename L::Number;
    const Machine<L> machine(*sizes, arrays->weights, back);
    const size_t kept = machine.kept(), total = machine.parameters.total;
    L* records = reinterpret_cast<L*>(arrays->kept);
    if (records && !back) in_large_pages(records, machine.chunks() * kept * sizeof(L));
    std::vector<std::vector<T>> parts(back ? machine.chunks() : 0);
    over_threads(sizes->threads, machine.chunks(), [&](int64_t n) {
        Chunk<L> chunk(machine, *arrays, n);
        if (!back) return chunk.forth(records ? records + n * kept : nullptr);
        parts[n].assign(total, T(0));
        chunk.back(records + n * kept, parts[n].data());
    });
    for (const auto& part : parts)
        for (size_t i = 0; i < total; i++) arrays->dweights[i] += part[i];
    return 0;
} catch (const std::exception&) {
    return 1;
}

// What a library offers is for one kind of lanes, which `-D` names: each is built where it is first needed.
using Chosen = CHOSEN;

extern "C" int run_lanes(const Sizes* sizes, const Arrays<Chosen::Number>* arrays, int back) {
    return run<Chosen>(sizes, arrays, back);
}

// Numbers that are kept of a run for its way back.
extern "C" int64_t kept_numbers(const Sizes* sizes) {
    const Machine<Chosen> machine(*sizes, nullptr, false);
    return int64_t(machine.chunks() * machine.kept() * Chosen::rows);
}
