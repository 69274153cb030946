// What heads have in common (access.py): memory, where they look, and how they move.
#pragma once
#include "addressing.h"

template <class L>
struct Heads : Part<L> {
    const Record& record;
    const Move<L> move;
    const int slots, width, heads, channels;  // `width` of one tape, `channels` of all of them
    const int noise;                          // lanes of it that a tick takes
    const bool both;                          // a way back is given the memory after its tick, too
    int scratch = 0;                          // lanes that a tick and its way back need beside the records
    int weights = 0;                          // where they are in a record

    Heads(const Record& r, int slots, int width, int moves, int heads, int tapes, int noise, bool both)
        : record(r), move{slots, moves}, slots(slots), width(width), heads(heads), channels(tapes * width), noise(noise), both(both) {}
    // After the controller's state.
    virtual void place(Record& r) { weights = r.take(heads * slots); }
    int memory() const { return slots * channels; }
    // What belongs to a state that was handed in, beside memory and weights.
    virtual void begin(L* record, const L* memory) const {}
    // Turns `memory`, that before the tick, into the one after it.
    virtual void tick(const L* before, L* after, L* memory, const L* home, const L* noise, L* scratch) const = 0;
    // Once more what a tick that was run made of the memory `old`: the same bits.
    virtual void write(const L* before, const L* after, const L* old, L* fresh) const = 0;
    // Turns dmemory as it does ds; adds to dhidden, to dx where it is looked at, and to dhome.
    virtual void back(const L* before, const L* after, const L* old, const L* fresh, const L* home, L* ds, L* dmemory, L* dhidden, L* dy,
                      L* dx, L* dhome, L* scratch) const = 0;
};
