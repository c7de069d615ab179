#include "kubernaut/async/pool.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace kn::async {

struct ThreadPool::State {
    std::mutex mutex;
    std::condition_variable ready;
    std::deque<std::move_only_function<void()>> jobs;
    bool stopping = false;
    std::vector<std::thread> threads;

    void work() {
        while (true) {
            std::unique_lock lock(mutex);
            ready.wait(lock, [this] { return stopping || !jobs.empty(); });
            if (jobs.empty()) return;
            auto job = std::move(jobs.front());
            jobs.pop_front();
            lock.unlock();
            job();
        }
    }
};

ThreadPool::ThreadPool(std::string name, std::size_t threads) : state_(std::make_shared<State>()) {
    for (std::size_t i = 0; i < threads; ++i) {
        state_->threads.emplace_back([state = state_.get()] { state->work(); });
        pthread_setname_np(state_->threads.back().native_handle(), name.substr(0, 15).c_str());
    }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::post(std::move_only_function<void()> job) {
    {
        const std::lock_guard lock(state_->mutex);
        if (state_->stopping) return;
        state_->jobs.push_back(std::move(job));
    }
    state_->ready.notify_one();
}

void ThreadPool::stop() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->ready.notify_all();
    for (auto& thread : state_->threads) {
        if (thread.joinable()) thread.join();
    }
    state_->threads.clear();
}

}  // namespace kn::async
