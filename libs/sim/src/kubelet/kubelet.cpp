#include "kubernaut/sim/kubelet/kubelet.hpp"

#include <algorithm>

#include "common/event_recorder.hpp"
#include "common/informers.hpp"
#include "common/text.hpp"
#include "common/writer.hpp"
#include "kubelet/node_agent.hpp"
#include "kubelet/pod_runtime.hpp"
#include "kubelet/pod_world.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim {
namespace r = kube::resources;

struct Kubelet::Impl final : PodWorld {
    struct Pod {
        std::string uid;
        std::unique_ptr<PodRuntime> runtime;
        std::set<std::string, std::less<>> references;
    };

    Impl(std::shared_ptr<kube::Client> c, async::Executor e, RandomSource& rnd, KubeletOptions o, std::shared_ptr<BehaviourBook> b,
         std::shared_ptr<Metrics> m)
        : client(std::move(c)),
          random(rnd),
          options(std::move(o)),
          the_book(std::move(b)),
          the_metrics(std::move(m)),
          informers(client, rnd),
          recorder(client, "kubelet", EventRecorder::Form::core),
          reviews(client->clock(), 2s, 30s),
          scope(std::move(e)) {}

    // PodWorld
    Instant now() const override { return client->clock().now(); }
    const BehaviourBook& book() const override { return *the_book; }
    Metrics& metrics() override { return *the_metrics; }
    std::optional<Content> config(std::string_view kind, std::string_view ns, std::string_view name) const override;
    ServiceState service(std::string_view ns, std::string_view name, const json::Object& labels) const override;
    bool access(std::string_view ns, std::string_view account, std::string_view what) override;
    bool claim_bound(std::string_view ns, std::string_view claim) const override;
    bool image_present(std::string_view node, std::string_view image) const override;
    void image_pulled(std::string_view node, std::string_view image) override;
    std::vector<std::string> docker_configs(const json::Value& pod) const override;
    void event(const json::Value& pod, bool warning, std::string_view reason, std::string message, std::string_view container) override;
    void node_event(std::string_view node, bool warning, std::string_view reason, std::string message) override;
    double chance() override { return random.unit(); }

    void watch();
    void pod_changed(const kube::ObjectPtr& pod, bool deleted);
    void reference_changed(const std::string& reference);
    void slice_changed(const kube::ObjectPtr& slice);
    void claim_changed(const kube::ObjectPtr& claim, bool deleted);
    void book_changed();
    void refer(const std::string& key, Pod& pod);
    void look_at_node(std::string_view node);
    async::Task<> review_access();
    void rights_changed();
    async::Task<> serve(NodeAgent* agent);
    async::Task<Result<std::optional<Duration>>> look(NodeAgent& agent, std::string key);
    async::Task<Result<>> add(NodeSpec spec);

    std::shared_ptr<kube::Client> client;
    RandomSource& random;
    KubeletOptions options;
    std::shared_ptr<BehaviourBook> the_book;
    std::shared_ptr<Metrics> the_metrics;
    Informers informers;
    EventRecorder recorder;
    std::map<std::string, std::unique_ptr<NodeAgent>, std::less<>> agents;
    std::map<std::string, Pod, std::less<>> pods;                                      // "ns/name"
    std::map<std::string, std::set<std::string, std::less<>>, std::less<>> referrers;  // reference → pods
    std::map<std::string, int, std::less<>> ready_endpoints;                           // "ns/service"
    std::map<std::string, std::pair<std::string, int>, std::less<>> slices;            // "ns/slice" → service, ready
    std::map<std::string, bool, std::less<>> rights;                                   // "ns/account/what" → allowed
    WorkQueue reviews;                                                                 // rights to be asked for
    int node_count = 0;
    bool started = false;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
    async::TaskScope scope;  // last: its tasks use everything above
};

std::optional<Content> Kubelet::Impl::config(std::string_view kind, std::string_view ns, std::string_view name) const {
    const bool secret = kind == "Secret";
    const auto* cache = informers.find(secret ? "Secret" : "ConfigMap");
    const auto object = cache->find(ns, name);
    if (object == nullptr) return std::nullopt;
    Content out;
    for (const auto& [key, value] : json::object_at(*object, "data")) {
        if (const auto* text = value.if_string())
            out[std::string(key)] = secret ? base64_decode(json::view(*text)).bytes : std::string(json::view(*text));
    }
    for (const auto& [key, value] : json::object_at(*object, secret ? "stringData" : "binaryData")) {
        if (const auto* text = value.if_string())
            out[std::string(key)] = secret ? std::string(json::view(*text)) : base64_decode(json::view(*text)).bytes;
    }
    return out;
}

ServiceState Kubelet::Impl::service(std::string_view ns, std::string_view name, const json::Object& labels) const {
    const auto object = informers.find("Service")->find(ns, name);
    if (object == nullptr) return ServiceState::absent;
    const auto& selector = json::object_at(*object, "spec", "selector");
    if (selector.empty()) return ServiceState::ready;
    if (kube::map_selector_matches(selector, labels)) return ServiceState::own;
    const auto found = ready_endpoints.find(std::string(ns) + "/" + std::string(name));
    return found != ready_endpoints.end() && found->second > 0 ? ServiceState::ready : ServiceState::down;
}

bool Kubelet::Impl::access(std::string_view ns, std::string_view account, std::string_view what) {
    const std::string key = std::string(ns) + "/" + std::string(account) + "/" + std::string(what);
    const auto [found, fresh] = rights.try_emplace(key, true);
    if (fresh) reviews.add(key);
    return found->second;
}

void Kubelet::Impl::rights_changed() {
    for (const auto& [key, allowed] : rights) reviews.add(key);
}

async::Task<> Kubelet::Impl::review_access() {
    while (true) {
        const std::string key = co_await reviews.next();
        const auto parts = split(key, '/');
        const auto words = split(parts[2], ' ');
        const auto* resource = words.size() == 2 ? kube::find_resource(words[1]) : nullptr;
        if (resource == nullptr) continue;
        const std::string user = "system:serviceaccount:" + parts[0] + ":" + parts[1];
        std::vector<std::string> groups{"system:serviceaccounts", "system:serviceaccounts:" + parts[0], "system:authenticated"};
        auto allowed = co_await client->can_user(user, std::move(groups), words[0], *resource, parts[0], client->clock().deadline_in(10s));
        if (!allowed) {
            reviews.retry(key);
            continue;
        }
        reviews.forget(key);
        if (std::exchange(rights[key], *allowed) != *allowed) reference_changed("Access/" + parts[0] + "/" + parts[1]);
    }
}

bool Kubelet::Impl::claim_bound(std::string_view ns, std::string_view claim) const {
    const auto object = informers.find("PersistentVolumeClaim")->find(ns, claim);
    return object != nullptr && json::string_at(*object, "status", "phase") == "Bound";
}

bool Kubelet::Impl::image_present(std::string_view node, std::string_view image) const {
    const auto agent = agents.find(node);
    return agent != agents.end() && agent->second->images.contains(image);
}

void Kubelet::Impl::image_pulled(std::string_view node, std::string_view image) {
    if (const auto agent = agents.find(node); agent != agents.end()) agent->second->images.emplace(image);
}

std::vector<std::string> Kubelet::Impl::docker_configs(const json::Value& pod) const {
    std::vector<std::string> out;
    for (const auto& reference : json::array_at(pod, "spec", "imagePullSecrets")) {
        const auto content = config("Secret", kube::namespace_of(pod), json::string_at(reference, "name"));
        if (!content) continue;
        if (const auto found = content->find(".dockerconfigjson"); found != content->end()) out.push_back(found->second);
    }
    return out;
}

void Kubelet::Impl::event(const json::Value& pod, bool warning, std::string_view reason, std::string message, std::string_view container) {
    recorder.record({.object = &pod,
                     .warning = warning,
                     .reason = std::string(reason),
                     .message = std::move(message),
                     .field_path = container.empty() ? std::string() : "spec.containers{" + std::string(container) + "}",
                     .host = std::string(json::string_at(pod, "spec", "nodeName"))});
}

void Kubelet::Impl::node_event(std::string_view node, bool warning, std::string_view reason, std::string message) {
    const auto agent = agents.find(node);
    if (agent == agents.end() || !agent->second->object().is_object()) return;
    recorder.record({.object = &agent->second->object(),
                     .warning = warning,
                     .reason = std::string(reason),
                     .message = std::move(message),
                     .host = std::string(node)});
}

void Kubelet::Impl::watch() {
    using kube::WatchEventType;
    informers.of(r::pods).subscribe(
        [this](WatchEventType type, const kube::ObjectPtr& pod, const kube::ObjectPtr&) { pod_changed(pod, type == WatchEventType::deleted); });
    for (const auto* resource : {&r::config_maps, &r::secrets}) {
        informers.of(*resource).subscribe([this, kind = resource->kind](WatchEventType, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
            reference_changed(kind + "/" + std::string(kube::namespace_of(*object)) + "/" + std::string(kube::name_of(*object)));
        });
    }
    informers.of(r::services);
    informers.of(r::endpoint_slices).subscribe([this](WatchEventType type, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
        slice_changed(type == WatchEventType::deleted ? nullptr : object);
        if (type == WatchEventType::deleted) {
            const std::string key = std::string(kube::namespace_of(*object)) + "/" + std::string(kube::name_of(*object));
            if (const auto found = slices.find(key); found != slices.end()) {
                ready_endpoints[found->second.first] -= found->second.second;
                reference_changed("Service/" + found->second.first);
                slices.erase(found);
            }
        }
    });
    informers.of(r::persistent_volume_claims).subscribe([this](WatchEventType type, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
        claim_changed(object, type == WatchEventType::deleted);
    });
    for (const auto* resource : {&r::roles, &r::role_bindings, &r::cluster_roles, &r::cluster_role_bindings}) {
        informers.of(*resource).subscribe([this](WatchEventType, const kube::ObjectPtr&, const kube::ObjectPtr&) { rights_changed(); });
    }
    // The book may outlive this kubelet.
    the_book->subscribe([this, alive = std::weak_ptr(alive)] {
        if (!alive.expired()) book_changed();
    });
}

void Kubelet::Impl::pod_changed(const kube::ObjectPtr& pod, bool deleted) {
    const auto node = json::string_at(*pod, "spec", "nodeName");
    if (node.empty()) return;
    const auto agent = agents.find(node);
    if (agent == agents.end()) return;
    const std::string key = std::string(kube::namespace_of(*pod)) + "/" + std::string(kube::name_of(*pod));
    if (deleted) {
        if (const auto found = pods.find(key); found != pods.end() && found->second.uid == kube::uid_of(*pod)) {
            found->second.runtime->forget();
            for (const auto& reference : found->second.references) referrers[reference].erase(key);
            pods.erase(found);
        }
        return;
    }
    agent->second->pods.add(key);
}

void Kubelet::Impl::reference_changed(const std::string& reference) {
    const auto found = referrers.find(reference);
    if (found == referrers.end()) return;
    for (const auto& key : found->second) {
        const auto pod = pods.find(key);
        if (pod == pods.end()) continue;
        if (const auto agent = agents.find(pod->second.runtime->node()); agent != agents.end()) agent->second->pods.add(key);
    }
}

void Kubelet::Impl::slice_changed(const kube::ObjectPtr& slice) {
    if (slice == nullptr) return;
    const std::string ns(kube::namespace_of(*slice));
    const std::string service_key = ns + "/" + std::string(kube::label_of(*slice, "kubernetes.io/service-name"));
    int ready = 0;
    for (const auto& endpoint : json::array_at(*slice, "endpoints")) ready += json::bool_at(endpoint, "conditions", "ready").value_or(true) ? 1 : 0;
    auto& known = slices[ns + "/" + std::string(kube::name_of(*slice))];
    if (known.first.empty()) known.first = service_key;
    int& total = ready_endpoints[known.first];
    const bool before = total > 0;
    total += ready - known.second;
    known.second = ready;
    if (before != (total > 0)) reference_changed("Service/" + known.first);
}

void Kubelet::Impl::claim_changed(const kube::ObjectPtr& claim, bool deleted) {
    const auto ns = kube::namespace_of(*claim), name = kube::name_of(*claim);
    if (deleted) {
        the_metrics->remove_volume(ns, name, now());
    } else if (json::string_at(*claim, "status", "phase") == "Bound") {
        if (const auto bytes = kube::quantity_at(json::at(*claim, "status", "capacity", "storage")))
            the_metrics->set_volume_capacity(ns, name, now(), *bytes);
    }
    reference_changed("Claim/" + std::string(ns) + "/" + std::string(name));
}

void Kubelet::Impl::book_changed() {
    for (const auto& [key, pod] : pods) {
        if (const auto agent = agents.find(pod.runtime->node()); agent != agents.end()) agent->second->pods.add(key);
    }
}

void Kubelet::Impl::refer(const std::string& key, Pod& pod) {
    const auto& now_referred = pod.runtime->references();
    if (now_referred == pod.references) return;
    for (const auto& reference : pod.references) {
        if (!now_referred.contains(reference)) referrers[reference].erase(key);
    }
    for (const auto& reference : now_referred) referrers[reference].insert(key);
    pod.references = now_referred;
}

async::Task<Result<std::optional<Duration>>> Kubelet::Impl::look(NodeAgent& agent, std::string key) {
    const auto slash = key.find('/');
    const auto object = informers.find("Pod")->find(key.substr(0, slash), key.substr(slash + 1));
    if (object == nullptr || json::string_at(*object, "spec", "nodeName") != agent.spec().name || !agent.on()) co_return std::nullopt;
    auto& pod = pods[key];
    if (pod.uid != kube::uid_of(*object)) {
        if (pod.runtime != nullptr) pod.runtime->forget();
        pod.uid = kube::uid_of(*object);
        pod.runtime = std::make_unique<PodRuntime>(*this, options, PodRuntime::Place{agent.spec().name, agent.host_ip(), agent.next_pod_ip()});
    }
    auto look = pod.runtime->look(object);
    refer(key, pod);
    Writer writer(informers, "kubelet");
    KN_CO_CHECK(co_await writer.status(r::pods, object, std::move(look.status)));
    if (look.remove) KN_CO_CHECK(co_await writer.remove(r::pods, object, 0));
    co_await writer.settle();
    if (look.remove || !look.next) co_return std::nullopt;
    co_return std::optional(std::max<Duration>(*look.next - now(), Duration{1}));
}

async::Task<> Kubelet::Impl::serve(NodeAgent* agent) {
    while (true) {
        const std::string key = co_await agent->pods.next();
        auto done = co_await look(*agent, key);
        if (!done) {
            agent->pods.retry(key);
            continue;
        }
        agent->pods.forget(key);
        if (*done) agent->pods.add_after(key, **done);
    }
}

async::Task<Result<>> Kubelet::Impl::add(NodeSpec spec) {
    if (agents.contains(spec.name)) co_return fail(ErrorCode::already_exists, "node " + spec.name + " is already served");
    auto& agent = agents[spec.name];
    agent = std::make_unique<NodeAgent>(client, options, spec, node_count++);
    auto* raw = agent.get();
    auto done = co_await raw->register_node();
    if (!done) {
        agents.erase(spec.name);
        co_return done;
    }
    scope.spawn("node " + spec.name, raw->run());
    scope.spawn("pods of " + spec.name, serve(raw));
    look_at_node(spec.name);
    co_return Result<>{};
}

void Kubelet::Impl::look_at_node(std::string_view node) {
    const auto agent = agents.find(node);
    for (const auto& pod : informers.find("Pod")->list()) {
        if (json::string_at(*pod, "spec", "nodeName") == node)
            agent->second->pods.add(std::string(kube::namespace_of(*pod)) + "/" + std::string(kube::name_of(*pod)));
    }
}

Kubelet::Kubelet(std::shared_ptr<kube::Client> client, async::Executor executor, RandomSource& random, KubeletOptions options,
                 std::shared_ptr<BehaviourBook> book, std::shared_ptr<Metrics> metrics)
    : impl_(std::make_unique<Impl>(std::move(client), std::move(executor), random, std::move(options), std::move(book), std::move(metrics))) {}
Kubelet::~Kubelet() = default;

async::Task<Result<>> Kubelet::start(std::vector<NodeSpec> nodes) {
    if (!impl_->started) {
        impl_->started = true;
        impl_->watch();
        KN_CO_CHECK(co_await impl_->informers.start(impl_->scope, impl_->client->clock().deadline_in(30s)));
        impl_->scope.spawn("kubelet events", impl_->recorder.run());
        impl_->scope.spawn("access reviews", impl_->review_access());
    }
    for (auto& node : nodes) KN_CO_CHECK(co_await impl_->add(std::move(node)));
    co_return Result<>{};
}

void Kubelet::stop() { impl_->scope.cancel(); }
async::Task<> Kubelet::join() { return impl_->scope.join(); }
async::Task<Result<>> Kubelet::add_node(NodeSpec node) { return impl_->add(std::move(node)); }

void Kubelet::stop_node(std::string_view name) {
    if (const auto agent = impl_->agents.find(name); agent != impl_->agents.end()) agent->second->switch_off();
}

void Kubelet::start_node(std::string_view name) {
    const auto agent = impl_->agents.find(name);
    if (agent == impl_->agents.end() || agent->second->on()) return;
    for (auto& [key, pod] : impl_->pods) {
        if (pod.runtime->node() == name) pod.runtime->machine_lost();
    }
    agent->second->switch_on();
    impl_->look_at_node(name);
}

void Kubelet::set_condition(std::string_view node, std::string_view type, bool status) {
    if (const auto agent = impl_->agents.find(node); agent != impl_->agents.end()) agent->second->set_condition(std::string(type), status);
}

bool Kubelet::node_running(std::string_view name) const {
    const auto agent = impl_->agents.find(name);
    return agent != impl_->agents.end() && agent->second->on();
}

std::vector<std::string> Kubelet::nodes() const {
    std::vector<std::string> out;
    for (const auto& [name, agent] : impl_->agents) out.push_back(name);
    return out;
}

Result<std::string> Kubelet::logs(std::string_view ns, std::string_view pod, std::string_view container, bool previous, int tail_lines) const {
    const auto found = impl_->pods.find(std::string(ns) + "/" + std::string(pod));
    if (found == impl_->pods.end()) return fail(ErrorCode::not_found, "pods \"" + std::string(pod) + "\" not found on any node of this kubelet");
    const auto* run = found->second.runtime->container(container);
    if (run == nullptr) return fail(ErrorCode::invalid_argument, "container " + std::string(container) + " is not valid for pod " + std::string(pod));
    if (!run->ever_started) {
        return fail(ErrorCode::invalid_argument,
                    "container \"" + run->name + "\" in pod \"" + std::string(pod) + "\" is waiting to start: " + run->reason);
    }
    // While it waits for its next start, the last run is the current log, as with the real one.
    const bool waiting = run->state == ContainerRun::State::waiting;
    if (previous && !waiting && run->previous_log.empty())
        return fail(ErrorCode::invalid_argument, "previous terminated container \"" + run->name + "\" in pod \"" + std::string(pod) + "\" not found");
    const auto& lines = previous && !waiting ? run->previous_log : run->log;
    std::string text;
    const std::size_t from =
        tail_lines >= 0 && lines.size() > static_cast<std::size_t>(tail_lines) ? lines.size() - static_cast<std::size_t>(tail_lines) : 0;
    for (std::size_t i = from; i < lines.size(); ++i) text += lines[i] + "\n";
    return text;
}

std::size_t Kubelet::pod_count() const { return impl_->pods.size(); }
BehaviourBook& Kubelet::book() { return *impl_->the_book; }
Metrics& Kubelet::metrics() { return *impl_->the_metrics; }

}  // namespace kn::sim
