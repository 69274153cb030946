// What heads have in common (access.py): memory, where they look, and how they move.
#pragma once
#include "addressing.h"

template <class L>
struct Heads : Part<L> {
    const Record& record;
    const Move<L> move;
    const int slots, width, heads, channels;  // `width` of one tape, `channels` of all of them
    const int noise;                          // lanes of it that a tick takes
    int scratch = 0;                          // lanes that a tick and its way back need beside the records
    int weights = 0, memory = 0;              // where they are

    Heads(const Record& r, int slots, int width, int moves, int heads, int tapes, int noise)
        : record(r), move{slots, moves}, slots(slots), width(width), heads(heads), channels(tapes * width), noise(noise) {}
    // After the controller's state.
    virtual void place(Record& r) { weights = r.take(heads * slots), memory = r.take(slots * channels); }
    // What belongs to a state that was handed in, beside memory and weights.
    virtual void begin(L* record) const {}
    virtual void tick(const L* before, L* after, const L* home, const L* noise, L* scratch) const = 0;
    // Adds to dhidden, to dx where it is looked at, and to dhome.
    virtual void back(const L* before, const L* after, const L* home, L* ds, L* dhidden, L* dy, L* dx, L* dhome, L* scratch) const = 0;
};
