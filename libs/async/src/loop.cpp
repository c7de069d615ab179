#include "kubernaut/async/loop.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace kn::async {
namespace {

class RealLoop final : public EventLoop {
public:
    RealLoop() : context_(1), guard_(boost::asio::make_work_guard(context_)), clock_(context_) {}
    Executor executor() override { return context_.get_executor(); }
    boost::asio::io_context& context() override { return context_; }
    Clock& clock() override { return clock_; }
    void run() override { context_.run(); }
    void run_for(Duration d) override {
        if (context_.stopped()) context_.restart();
        context_.run_for(d);
    }
    void stop() override { context_.stop(); }
    bool run_until(const std::function<bool()>& done, Duration limit) override {
        const auto end = std::chrono::steady_clock::now() + limit;
        if (context_.stopped()) context_.restart();
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            if (context_.run_one_until(end) == 0 && context_.stopped()) return done();
        }
        return true;
    }

private:
    boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
    SystemClock clock_;
};

class SimulatedLoop final : public EventLoop {
public:
    explicit SimulatedLoop(Instant start) : context_(1), guard_(boost::asio::make_work_guard(context_)), clock_(start) {}
    Executor executor() override { return context_.get_executor(); }
    boost::asio::io_context& context() override { return context_; }
    Clock& clock() override { return clock_; }
    void run() override {
        while (!context_.stopped()) {
            context_.poll();
            if (context_.stopped() || !clock_.run_next()) return;
        }
    }
    void run_for(Duration d) override {
        if (context_.stopped()) context_.restart();
        const SteadyTime end = clock_.steady() + d;
        while (!context_.stopped()) {
            context_.poll();
            if (!clock_.run_next(end)) return;
        }
    }
    void stop() override { context_.stop(); }
    bool run_until(const std::function<bool()>& done, Duration limit) override {
        if (context_.stopped()) context_.restart();
        const SteadyTime end = clock_.steady() + limit;
        while (true) {
            while (context_.poll_one() > 0) {
                if (done()) return true;
            }
            if (done()) return true;
            if (context_.stopped() || !clock_.run_next(end)) return false;
        }
    }

private:
    boost::asio::io_context context_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
    VirtualClock clock_;
};

}  // namespace

std::unique_ptr<EventLoop> EventLoop::real() { return std::make_unique<RealLoop>(); }
std::unique_ptr<EventLoop> EventLoop::simulated(Instant start) { return std::make_unique<SimulatedLoop>(start); }

}  // namespace kn::async
