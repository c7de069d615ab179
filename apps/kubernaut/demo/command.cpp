#include <boost/asio/signal_set.hpp>
#include <iostream>
#include <memory>

#include "client/render.hpp"
#include "commands.hpp"
#include "demo/world.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::app {
namespace {

struct Options {
    bool once = false, verbose = false;
    std::uint64_t seed = 1;
    std::string output = "table", listen = "127.0.0.1:8080";
    std::vector<std::string> only;
    bool all = false;
};

struct Totals {
    int cured = 0, left_alone = 0, harmful = 0, wrong = 0;
};

Totals count(const std::vector<FaultReport>& reports) {
    Totals totals;
    for (const auto& report : reports) {
        if (report.leave_alone && report.harm.empty()) ++totals.left_alone;
        if (!report.leave_alone && report.cured) ++totals.cured;
        if (!report.harm.empty()) ++totals.harmful;
        if (!report.right()) ++totals.wrong;
    }
    return totals;
}

json::Value document(const std::vector<FaultReport>& reports, const Totals& totals, const std::optional<ForesightReport>& foresight,
                     std::uint64_t seed, double wall) {
    json::Array faults;
    for (const auto& r : reports) {
        json::Object fault{{"id", r.id},
                           {"cluster", r.cluster},
                           {"target", r.target},
                           {"injected", format_rfc3339(r.injected)},
                           {"classified", r.classified},
                           {"workflow", r.workflow},
                           {"outcome", r.outcome},
                           {"verified", r.verified},
                           {"virtual_seconds", r.virtual_seconds},
                           {"cured", r.cured},
                           {"leave_alone", r.leave_alone}};
        json::Array harm, missing;
        for (const auto& each : r.harm) harm.push_back(boost::json::string(each));
        for (const auto& each : r.missing) missing.push_back(boost::json::string(each));
        fault["harm"] = std::move(harm);
        fault["missing"] = std::move(missing);
        faults.push_back(std::move(fault));
    }
    json::Object out{
        {"seed", seed},        {"faults", std::move(faults)}, {"cured", totals.cured}, {"left_alone", totals.left_alone}, {"harmful", totals.harmful},
        {"wall_seconds", wall}};
    if (foresight) out["patterns"] = to_json(*foresight);
    return out;
}

void print_table(const std::vector<FaultReport>& reports, const Totals& totals, double wall) {
    const client::Style style = client::Style::for_stdout();
    const auto cell = [](std::string text, std::size_t width) {
        text.resize(std::max(width, text.size()), ' ');
        return text + "  ";
    };
    std::cout << "\n"
              << style.bold(cell("FAULT", 6) + cell("CLUSTER", 8) + cell("INJECTED", 44) + cell("TAKEN FOR", 28) + cell("DONE", 26) +
                            cell("OUTCOME", 12) + cell("TRUTH", 11) + "AFTER")
              << "\n";
    for (const auto& r : reports) {
        const std::string truth = !r.harm.empty() ? "harmed"
                                  : r.leave_alone ? (r.outcome == "escalated" ? "people told" : "left alone")
                                  : r.cured       ? "cured"
                                                  : "NOT CURED";
        const std::string shown = cell(truth, 11);
        std::cout << cell(r.id, 6) << cell(r.cluster, 8) << cell(r.title.substr(0, 44), 44) << cell(r.classified, 28) << cell(r.workflow, 26)
                  << cell(r.outcome, 12) << (r.right() ? style.good(shown) : style.bad(shown))
                  << client::human_age(Duration{static_cast<std::int64_t>(r.virtual_seconds * 1000)}) << "\n";
        for (const auto& harm : r.harm) std::cout << style.bad("        touched: " + harm) << "\n";
        if (!r.right()) {
            for (const auto& missing : r.missing) std::cout << style.warn("        still missing: " + missing) << "\n";
        }
    }
    std::cout << "\n"
              << totals.cured << " cured, " << totals.left_alone << " rightly left to themselves or to people, " << totals.harmful << " harmed, "
              << totals.wrong << " wrong; " << wall << " s\n";
}

/// What the pattern discovery showed, beside what the simulator knows.
void print_foresight(const ForesightReport& report) {
    const client::Style style = client::Style::for_stdout();
    const auto mark = [&](bool right) { return right ? style.good("right  ") : style.bad("WRONG  "); };
    const auto& f = report.forecast;
    std::cout << "\n" << style.bold("Foreseen") << " (the past before the demo is made up from the seed)\n";
    if (f.warned)
        std::cout << "  " << mark(f.right()) << "forecast    " << f.claim << "\n                     warned "
                  << client::human_age(f.alert_without - *f.warned) << " before its alert would have come; "
                  << (f.cured ? f.workflow + " made it larger" : "nothing was done") << ", the alert " << (f.alert_fired ? "fired" : "never fired")
                  << "\n";
    else
        std::cout << "  " << mark(false) << "forecast    nobody foretold that " << f.target << " fills up\n";
    const auto& r = report.recurrence;
    std::cout << "  " << mark(r.right()) << "recurrence  " << (r.claim.empty() ? "the nightly failure was not found" : r.claim);
    if (r.next)
        std::cout << "\n                     next " << format_rfc3339(r.next->from) << " to " << format_rfc3339(r.next->to) << "; in store for "
                  << format_rfc3339(r.truth);
    const auto& y = report.family;
    std::cout << "\n  " << mark(y.right()) << "family      " << (y.claim.empty() ? "no family was found" : y.claim) << "\n                     for "
              << y.asked << ": " << (y.recommended.empty() ? "no advice" : y.recommended) << ", it worked in " << static_cast<int>(y.good + 0.5)
              << " of " << static_cast<int>(y.all + 0.5) << " like it\n";
}

int run_once(const Options& options) {
    log::configure(options.verbose ? log::Level::info : log::Level::error, log::Format::text);
    const auto began = std::chrono::steady_clock::now();
    // A Monday morning; virtual time makes the rest of the run a function of the seed.
    const auto loop = async::EventLoop::simulated(parse_rfc3339("2026-01-05T09:00:00Z").value());
    auto world = DemoWorld::create(*loop, {.seed = options.seed,
                                           .story = options.output == "table" && options.verbose,
                                           .only = options.only,
                                           .all = options.all,
                                           .foresight = options.only.empty()});
    if (!world) {
        std::cerr << "error: " << world.error().describe() << "\n";
        return 1;
    }
    auto started = loop->block_on((*world)->start());
    if (!started) {
        std::cerr << "error: " << started.error().describe() << "\n";
        return 1;
    }
    auto reports = loop->block_on((*world)->run());
    const auto foresight = loop->block_on((*world)->foresight());
    loop->block_on((*world)->stop());
    if (!reports) {
        std::cerr << "error: " << reports.error().describe() << "\n";
        return 1;
    }
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    const Totals totals = count(*reports);
    if (options.output == "json")
        std::cout << json::dump_pretty(document(*reports, totals, foresight.value_or(std::nullopt), options.seed, wall)) << "\n";
    else
        print_table(*reports, totals, wall);
    if (!foresight) {
        std::cerr << "error: what was foreseen could not be read: " << foresight.error().describe() << "\n";
        return 1;
    }
    if (options.output != "json" && *foresight) print_foresight(**foresight);
    return totals.wrong == 0 && !reports->empty() ? 0 : 1;
}

async::Task<> show(DemoWorld& world) {
    auto reports = co_await world.run();
    if (!reports) {
        std::cout << "the timetable ended early: " << reports.error().describe() << "\n";
        co_return;
    }
    print_table(*reports, count(*reports), 0);
    const auto foresight = co_await world.foresight();
    if (!foresight) std::cout << "what was foreseen could not be read: " << foresight.error().describe() << "\n";
    if (foresight && *foresight) print_foresight(**foresight);
    std::cout << "The timetable is done; the page stays up until Ctrl-C.\n" << std::flush;
}

async::Task<> end(DemoWorld& world, net::HttpServer& server, async::EventLoop& loop) {
    co_await server.stop(2s);
    co_await world.stop();
    loop.stop();
}

int run_live(const Options& options) {
    log::configure(options.verbose ? log::Level::info : log::Level::warning, log::Format::text);
    const auto loop = async::EventLoop::real();
    auto world = DemoWorld::create(*loop, {.seed = options.seed,
                                           .hurry = 6,
                                           .only = options.only,
                                           .all = options.all,
                                           .approver_delay = 10s,
                                           .foresight = options.only.empty(),
                                           .threads = true});
    if (!world) {
        std::cerr << "error: " << world.error().describe() << "\n";
        return 1;
    }
    net::HttpServer server(*loop, {.listen = options.listen}, [&](net::HttpRequest request) { return (*world)->hub().handle(std::move(request)); });
    if (auto listening = server.start(); !listening) {
        std::cerr << "error: " << listening.error().describe() << "\n";
        return 1;
    }
    const auto host = net::split_address(options.listen);
    std::cout
        << "Kubernaut demo: three simulated clusters, faults on a timetable, everything real but the containers. Waits are shortened six times.\n"
        << "Page:   http://" << host->first << ":" << server.port() << "/\nClient: kubernaut get incidents --server http://" << host->first << ":"
        << server.port() << "\n\n"
        << std::flush;
    if (auto started = loop->block_on((*world)->start()); !started) {
        std::cerr << "error: " << started.error().describe() << "\n";
        return 1;
    }
    async::TaskScope scope(loop->executor());
    scope.spawn("timetable", show(**world));
    boost::asio::signal_set signals(loop->context(), SIGINT, SIGTERM);
    async::TaskScope ending(loop->executor());
    signals.async_wait([&](boost::system::error_code ec, int) {
        if (ec) return;
        scope.cancel();
        ending.spawn("end", end(**world, server, *loop));
    });
    loop->run();
    return 0;
}

}  // namespace

void add_demo(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<Options>();
    auto* demo = app.add_subcommand("demo", "A hub with three simulated clusters and faults on a timetable; needs no configuration");
    demo->add_flag("--once", options->once, "run the timetable in virtual time, print a summary, exit 0 only when everything went right");
    demo->add_option("--seed", options->seed, "names, replicas, neighbours and times of the scenarios")->capture_default_str();
    demo->add_flag("--all", options->all, "those scenarios too that are left out to be done within a minute");
    demo->add_option("--only", options->only, "only these scenarios, such as S01")->delimiter(',');
    demo->add_option("-o,--output", options->output, "table or json (with --once)")->check(CLI::IsMember({"table", "json"}));
    demo->add_option("--listen", options->listen, "address of the page and the API")->capture_default_str();
    demo->add_flag("-v,--verbose", options->verbose, "with --once: tell the story; log more");
    demo->callback([options, &exit_code] { exit_code = options->once ? run_once(*options) : run_live(*options); });
}

}  // namespace kn::app
