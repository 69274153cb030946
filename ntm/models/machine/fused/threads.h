// Threads that stay and wait for work: one that is new starts on the core of the one that made it, and may be milliseconds late.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#if __has_include(<unistd.h>)
#include <unistd.h>
#else
static inline int getpid() { return 0; }
#endif
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

// While it lives, numbers of this thread below the smallest normal one are 0: sharp heads make them, and they take many times as long.
class NoSubnormals {
#if defined(__SSE2__)
    const unsigned before = _mm_getcsr();

   public:
    NoSubnormals() { _mm_setcsr(before | 0x8040); }  // what comes out, and what goes in
    ~NoSubnormals() { _mm_setcsr(before); }
#elif defined(__aarch64__)
    uint64_t before;
    static void set(uint64_t control) { asm volatile("msr fpcr, %0" ::"r"(control)); }

   public:
    NoSubnormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        set(before | 1 << 24);
    }
    ~NoSubnormals() { set(before); }
#endif
};

class Helpers {
    std::mutex lock;
    std::condition_variable wake, done;
    std::function<void()> work;
    int there = 0, wanted = 0, active = 0;

    void wait_for_work() {
        std::unique_lock<std::mutex> held(lock);
        for (;;) {
            wake.wait(held, [&] { return wanted > 0; });
            wanted--, active++;
            held.unlock();
            work();
            held.lock();
            if (--active == 0) done.notify_one();
        }
    }

   public:
    std::mutex busy;  // by another caller

    // `work` by this thread and as many others as can be had; returns when all are done.
    void run(int others, const std::function<void()>& given) {
        {
            std::lock_guard<std::mutex> held(lock);
            try {
                for (; there < others; there++) std::thread([this] { wait_for_work(); }).detach();
            } catch (const std::system_error&) {
            }  // no more can be had: those that there are do it all
            work = given, wanted = std::min(others, there);
        }
        wake.notify_all();
        given();
        std::unique_lock<std::mutex> held(lock);
        wanted = 0;
        done.wait(held, [&] { return active == 0; });
    }

    // Of this process: a fork has none of its parent's threads. They end with it, so nothing is ever freed.
    static Helpers& here() {
        static std::mutex one;
        static Helpers* made = nullptr;
        static int process = 0;
        std::lock_guard<std::mutex> held(one);
        if (!made || process != getpid()) made = new Helpers, process = getpid();
        return *made;
    }
};

// job(n) for every n below `jobs`; raises bad_alloc where one raised anything.
template <class F>
static void over_threads(int64_t threads, int64_t jobs, F job) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    const auto work = [&] {
        [[maybe_unused]] NoSubnormals normal;
        try {
            for (int64_t n; (n = next++) < jobs;) job(n);
        } catch (const std::exception&) {
            failed = true;
        }
    };
    const int others = int(std::min(threads, jobs)) - 1;
    Helpers* helpers = others > 0 ? &Helpers::here() : nullptr;
    if (helpers && helpers->busy.try_lock()) {
        std::lock_guard<std::mutex> until_done(helpers->busy, std::adopt_lock);
        helpers->run(others, work);
    } else {
        work();
    }
    if (failed) throw std::bad_alloc();
}
