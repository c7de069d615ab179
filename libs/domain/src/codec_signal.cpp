#include "codec_io.hpp"

namespace kn {

using codec::Is;

template <class Io, Is<ObjectRef> T> void members(Io& io, T& ref) {
    io("key", ref.key);
    io("uid", ref.uid);
    io("resource_version", ref.resource_version);
    io("observed_at", ref.observed_at);
}

template <class Io, Is<Signal> T> void members(Io& io, T& signal) {
    io("id", signal.id);
    io("cluster", signal.cluster);
    io("key", signal.key);
    io("source", signal.source);
    io("name", signal.name);
    io("alert_fp", signal.alert_fp);
    io("status", signal.status);
    io("state", signal.state);
    io("severity", signal.severity);
    io("starts_at", signal.starts_at);
    io("received_at", signal.received_at);
    io("ends_at", signal.ends_at);
    io("clock_suspect", signal.clock_suspect);
    io("object", signal.object);
    io("container", signal.container);
    io("labels", signal.labels);
    io("annotations", signal.annotations);
    io("incident", signal.incident);
    io("error", signal.error);
    io("count", signal.count);
    io("last_seen", signal.last_seen);
}

json::Value to_json(const ObjectKey& key) { return json::Value(key.str()); }
KN_DOCUMENT(ObjectRef, "object reference")
KN_DOCUMENT(Signal, "signal")

}  // namespace kn
