#include "api/objects/protobuf.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/time.hpp"

namespace kn::sim::api {
namespace {

/// How a field is written in JSON. Go always encodes fields that are no pointers, so their zero values mean "not set" (`omitempty`).
enum class As : std::uint8_t {
    text,
    number,
    number_or_none,
    flag,
    flag_or_none,  // *_or_none: a zero is left out
    message,
    embedded,
    inlined,  // pointer; value (left out when empty); its fields belong to the parent
    bytes,
    text_map,
    bytes_map,
    quantity_map,
    time,
    int_or_text,
    ignored,
};

struct Field {
    unsigned number;
    std::string_view name;
    As as = As::text;
    std::string_view message{};
    bool repeated = false;
};

using Message = std::vector<Field>;

// Field numbers of the API's messages (they are part of its wire format and never change).
const std::map<std::string, Message, std::less<>>& messages() {
    using enum As;
    static const Field metadata{1, "metadata", embedded, "ObjectMeta"};
    static const Field status{3, "status", ignored};
    static const std::map<std::string, Message, std::less<>> all{
        {"ObjectMeta",
         {{1, "name"},
          {2, "generateName"},
          {3, "namespace"},
          {4, "selfLink"},
          {5, "uid"},
          {6, "resourceVersion"},
          {7, "generation", number_or_none},
          {8, "creationTimestamp", As::time},
          {9, "deletionTimestamp", As::time},
          {10, "deletionGracePeriodSeconds", number},
          {11, "labels", text_map},
          {12, "annotations", text_map},
          {13, "ownerReferences", message, "OwnerReference", true},
          {14, "finalizers", text, {}, true},
          {17, "managedFields", ignored}}},
        {"OwnerReference", {{1, "kind"}, {3, "name"}, {4, "uid"}, {5, "apiVersion"}, {6, "controller", flag}, {7, "blockOwnerDeletion", flag}}},
        {"LabelSelector", {{1, "matchLabels", text_map}, {2, "matchExpressions", message, "LabelSelectorRequirement", true}}},
        {"LabelSelectorRequirement", {{1, "key"}, {2, "operator"}, {3, "values", text, {}, true}}},
        {"DeleteOptions",
         {{1, "gracePeriodSeconds", number},
          {2, "preconditions", message, "Preconditions"},
          {3, "orphanDependents", flag},
          {4, "propagationPolicy"},
          {5, "dryRun", text, {}, true},
          {6, "ignoreStoreReadErrorWithClusterBreakingPotential", flag}}},
        {"Preconditions", {{1, "uid"}, {2, "resourceVersion"}}},
        {"ConfigMap", {metadata, {2, "data", text_map}, {3, "binaryData", bytes_map}, {4, "immutable", flag}}},
        {"Secret", {metadata, {2, "data", bytes_map}, {3, "type"}, {4, "stringData", text_map}, {5, "immutable", flag}}},
        {"Namespace", {metadata, {2, "spec", embedded, "NamespaceSpec"}, status}},
        {"NamespaceSpec", {{1, "finalizers", text, {}, true}}},
        {"ServiceAccount",
         {metadata,
          {2, "secrets", message, "ObjectReference", true},
          {3, "imagePullSecrets", message, "LocalObjectReference", true},
          {4, "automountServiceAccountToken", flag}}},
        {"ObjectReference", {{1, "kind"}, {2, "namespace"}, {3, "name"}, {4, "uid"}, {5, "apiVersion"}, {6, "resourceVersion"}, {7, "fieldPath"}}},
        {"LocalObjectReference", {{1, "name"}}},
        {"Service", {metadata, {2, "spec", embedded, "ServiceSpec"}, status}},
        {"ServiceSpec",
         {{1, "ports", message, "ServicePort", true},
          {2, "selector", text_map},
          {3, "clusterIP"},
          {4, "type"},
          {5, "externalIPs", text, {}, true},
          {7, "sessionAffinity"},
          {8, "loadBalancerIP"},
          {9, "loadBalancerSourceRanges", text, {}, true},
          {10, "externalName"},
          {11, "externalTrafficPolicy"},
          {12, "healthCheckNodePort", number_or_none},
          {13, "publishNotReadyAddresses", flag_or_none},
          {17, "ipFamilyPolicy"},
          {18, "clusterIPs", text, {}, true},
          {19, "ipFamilies", text, {}, true},
          {20, "allocateLoadBalancerNodePorts", flag},
          {21, "loadBalancerClass"},
          {22, "internalTrafficPolicy"},
          {23, "trafficDistribution"}}},
        {"ServicePort",
         {{1, "name"}, {2, "protocol"}, {3, "port", number}, {4, "targetPort", int_or_text}, {5, "nodePort", number_or_none}, {6, "appProtocol"}}},
        {"Deployment", {metadata, {2, "spec", embedded, "DeploymentSpec"}, status}},
        {"DeploymentSpec",
         {{1, "replicas", number},
          {2, "selector", message, "LabelSelector"},
          {3, "template", embedded, "PodTemplateSpec"},
          {4, "strategy", embedded, "DeploymentStrategy"},
          {5, "minReadySeconds", number_or_none},
          {6, "revisionHistoryLimit", number},
          {7, "paused", flag_or_none},
          {9, "progressDeadlineSeconds", number}}},
        {"DeploymentStrategy", {{1, "type"}, {2, "rollingUpdate", message, "RollingUpdateDeployment"}}},
        {"RollingUpdateDeployment", {{1, "maxUnavailable", int_or_text}, {2, "maxSurge", int_or_text}}},
        {"PodTemplateSpec", {metadata, {2, "spec", embedded, "PodSpec"}}},
        {"Pod", {metadata, {2, "spec", embedded, "PodSpec"}, status}},
        {"PodSpec",
         {{2, "containers", message, "Container", true},
          {3, "restartPolicy"},
          {4, "terminationGracePeriodSeconds", number},
          {5, "activeDeadlineSeconds", number},
          {6, "dnsPolicy"},
          {7, "nodeSelector", text_map},
          {8, "serviceAccountName"},
          {9, "serviceAccount"},
          {10, "nodeName"},
          {11, "hostNetwork", flag_or_none},
          {12, "hostPID", flag_or_none},
          {13, "hostIPC", flag_or_none},
          {14, "securityContext", message, "PodSecurityContext"},
          {15, "imagePullSecrets", message, "LocalObjectReference", true},
          {16, "hostname"},
          {17, "subdomain"},
          {19, "schedulerName"},
          {20, "initContainers", message, "Container", true},
          {21, "automountServiceAccountToken", flag},
          {22, "tolerations", message, "Toleration", true},
          {24, "priorityClassName"},
          {25, "priority", number},
          {27, "shareProcessNamespace", flag},
          {29, "runtimeClassName"},
          {30, "enableServiceLinks", flag},
          {31, "preemptionPolicy"},
          {35, "setHostnameAsFQDN", flag},
          {37, "hostUsers", flag}}},
        {"PodSecurityContext",
         {{2, "runAsUser", number},
          {3, "runAsNonRoot", flag},
          {4, "supplementalGroups", number, {}, true},
          {5, "fsGroup", number},
          {6, "runAsGroup", number}}},
        {"Toleration", {{1, "key"}, {2, "operator"}, {3, "value"}, {4, "effect"}, {5, "tolerationSeconds", number}}},
        {"Container",
         {{1, "name"},
          {2, "image"},
          {3, "command", text, {}, true},
          {4, "args", text, {}, true},
          {5, "workingDir"},
          {6, "ports", message, "ContainerPort", true},
          {7, "env", message, "EnvVar", true},
          {8, "resources", embedded, "ResourceRequirements"},
          {9, "volumeMounts", message, "VolumeMount", true},
          {13, "terminationMessagePath"},
          {14, "imagePullPolicy"},
          {16, "stdin", flag_or_none},
          {17, "stdinOnce", flag_or_none},
          {18, "tty", flag_or_none},
          {19, "envFrom", message, "EnvFromSource", true},
          {20, "terminationMessagePolicy"},
          {24, "restartPolicy"}}},
        {"ContainerPort", {{1, "name"}, {2, "hostPort", number_or_none}, {3, "containerPort", number}, {4, "protocol"}, {5, "hostIP"}}},
        {"EnvVar", {{1, "name"}, {2, "value"}, {3, "valueFrom", message, "EnvVarSource"}}},
        {"EnvVarSource",
         {{1, "fieldRef", message, "ObjectFieldSelector"},
          {3, "configMapKeyRef", message, "KeySelector"},
          {4, "secretKeyRef", message, "KeySelector"}}},
        {"ObjectFieldSelector", {{1, "apiVersion"}, {2, "fieldPath"}}},
        {"KeySelector", {{1, "", inlined, "LocalObjectReference"}, {2, "key"}, {3, "optional", flag}}},
        {"EnvFromSource", {{1, "prefix"}, {2, "configMapRef", message, "EnvSource"}, {3, "secretRef", message, "EnvSource"}}},
        {"EnvSource", {{1, "", inlined, "LocalObjectReference"}, {2, "optional", flag}}},
        {"ResourceRequirements", {{1, "limits", quantity_map}, {2, "requests", quantity_map}}},
        {"VolumeMount", {{1, "name"}, {2, "readOnly", flag_or_none}, {3, "mountPath"}, {4, "subPath"}, {6, "subPathExpr"}}},
        {"Job", {metadata, {2, "spec", embedded, "JobSpec"}, status}},
        {"JobSpec",
         {{1, "parallelism", number},
          {2, "completions", number},
          {3, "activeDeadlineSeconds", number},
          {4, "selector", message, "LabelSelector"},
          {5, "manualSelector", flag},
          {6, "template", embedded, "PodTemplateSpec"},
          {7, "backoffLimit", number},
          {8, "ttlSecondsAfterFinished", number},
          {9, "completionMode"},
          {10, "suspend", flag},
          {12, "backoffLimitPerIndex", number},
          {13, "maxFailedIndexes", number},
          {14, "podReplacementPolicy"},
          {15, "managedBy"}}},
        {"CronJob", {metadata, {2, "spec", embedded, "CronJobSpec"}, status}},
        {"CronJobSpec",
         {{1, "schedule"},
          {2, "startingDeadlineSeconds", number},
          {3, "concurrencyPolicy"},
          {4, "suspend", flag},
          {5, "jobTemplate", embedded, "JobTemplateSpec"},
          {6, "successfulJobsHistoryLimit", number},
          {7, "failedJobsHistoryLimit", number},
          {8, "timeZone"}}},
        {"JobTemplateSpec", {metadata, {2, "spec", embedded, "JobSpec"}}},
        {"Role", {metadata, {2, "rules", message, "PolicyRule", true}}},
        {"ClusterRole", {metadata, {2, "rules", message, "PolicyRule", true}}},
        {"PolicyRule",
         {{1, "verbs", text, {}, true},
          {2, "apiGroups", text, {}, true},
          {3, "resources", text, {}, true},
          {4, "resourceNames", text, {}, true},
          {5, "nonResourceURLs", text, {}, true}}},
        {"RoleBinding", {metadata, {2, "subjects", message, "Subject", true}, {3, "roleRef", embedded, "RoleRef"}}},
        {"ClusterRoleBinding", {metadata, {2, "subjects", message, "Subject", true}, {3, "roleRef", embedded, "RoleRef"}}},
        {"Subject", {{1, "kind"}, {2, "apiGroup"}, {3, "name"}, {4, "namespace"}}},
        {"RoleRef", {{1, "apiGroup"}, {2, "kind"}, {3, "name"}}},
        {"ResourceQuota", {metadata, {2, "spec", embedded, "ResourceQuotaSpec"}, status}},
        {"ResourceQuotaSpec", {{1, "hard", quantity_map}, {2, "scopes", text, {}, true}}},
        {"PodDisruptionBudget", {metadata, {2, "spec", embedded, "PodDisruptionBudgetSpec"}, status}},
        {"PodDisruptionBudgetSpec",
         {{1, "minAvailable", int_or_text},
          {2, "selector", message, "LabelSelector"},
          {3, "maxUnavailable", int_or_text},
          {4, "unhealthyPodEvictionPolicy"}}},
        {"Eviction", {metadata, {2, "deleteOptions", message, "DeleteOptions"}}},
        {"Binding", {metadata, {2, "target", embedded, "ObjectReference"}}},
        {"Scale", {metadata, {2, "spec", embedded, "ScaleSpec"}, status}},
        {"ScaleSpec", {{1, "replicas", number_or_none}}},
        {"Event",
         {metadata,
          {2, "involvedObject", embedded, "ObjectReference"},
          {3, "reason"},
          {4, "message"},
          {5, "source", embedded, "EventSource"},
          {6, "firstTimestamp", As::time},
          {7, "lastTimestamp", As::time},
          {8, "count", number_or_none},
          {9, "type"},
          {10, "eventTime", As::time},
          {12, "action"},
          {13, "related", message, "ObjectReference"},
          {14, "reportingComponent"},
          {15, "reportingInstance"}}},
        {"EventSource", {{1, "component"}, {2, "host"}}},
        {"Lease", {metadata, {2, "spec", embedded, "LeaseSpec"}}},
        {"LeaseSpec",
         {{1, "holderIdentity"},
          {2, "leaseDurationSeconds", number},
          {3, "acquireTime", As::time},
          {4, "renewTime", As::time},
          {5, "leaseTransitions", number},
          {6, "strategy"},
          {7, "preferredHolder"}}},
        {"SelfSubjectAccessReview", {metadata, {2, "spec", embedded, "AccessReviewSpec"}, status}},
        {"SubjectAccessReview", {metadata, {2, "spec", embedded, "AccessReviewSpec"}, status}},
        {"LocalSubjectAccessReview", {metadata, {2, "spec", embedded, "AccessReviewSpec"}, status}},
        {"AccessReviewSpec",
         {{1, "resourceAttributes", message, "ResourceAttributes"},
          {2, "nonResourceAttributes", message, "NonResourceAttributes"},
          {3, "user"},
          {4, "groups", text, {}, true},
          {6, "uid"}}},
        {"ResourceAttributes", {{1, "namespace"}, {2, "verb"}, {3, "group"}, {4, "version"}, {5, "resource"}, {6, "subresource"}, {7, "name"}}},
        {"NonResourceAttributes", {{1, "path"}, {2, "verb"}}},
        {"SelfSubjectRulesReview", {metadata, {2, "spec", embedded, "RulesReviewSpec"}, status}},
        {"RulesReviewSpec", {{1, "namespace"}}},
        {"SelfSubjectReview", {metadata, {2, "status", ignored}}},
        {"TokenRequest", {metadata, {2, "spec", embedded, "TokenRequestSpec"}, status}},
        {"TokenRequestSpec", {{1, "audiences", text, {}, true}, {4, "expirationSeconds", number}}},
    };
    return all;
}

/// One record of the wire format: a varint, or bytes.
struct Record {
    unsigned number = 0;
    bool is_bytes = false;
    std::uint64_t value = 0;
    std::string_view bytes;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    [[nodiscard]] bool done() const { return rest_.empty(); }
    /// nullopt: malformed.
    std::optional<Record> next() {
        const auto tag = varint();
        if (!tag) return std::nullopt;
        Record out{.number = static_cast<unsigned>(*tag >> 3U)};
        switch (*tag & 7U) {
            case 0: {
                const auto value = varint();
                if (!value) return std::nullopt;
                out.value = *value;
                return out;
            }
            case 2: {
                const auto size = varint();
                if (!size || *size > rest_.size()) return std::nullopt;
                out.is_bytes = true;
                out.bytes = rest_.substr(0, *size);
                rest_.remove_prefix(*size);
                return out;
            }
            default: return std::nullopt;  // the API has no fixed-width fields in what is read here
        }
    }

private:
    std::optional<std::uint64_t> varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) return std::nullopt;
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
            if ((byte & 0x80U) == 0) return value;
        }
        return std::nullopt;
    }
    std::string_view rest_;
};

std::unexpected<Refusal> malformed() { return bad_request("the body is no valid protobuf message"); }

std::unexpected<Refusal> unsupported_field(std::string_view message, unsigned number) {
    return refuse(415, "UnsupportedMediaType",
                  "this server does not read field " + std::to_string(number) + " of " + std::string(message) +
                      " in protobuf; send application/json or application/yaml");
}

/// The fields 1 and 2 of a small message: a map entry, a time, an int-or-string.
struct Pair {
    Record first, second, third;
};
std::optional<Pair> read_pair(std::string_view bytes) {
    Pair out;
    for (Reader reader(bytes); !reader.done();) {
        const auto record = reader.next();
        if (!record) return std::nullopt;
        if (record->number == 1) out.first = *record;
        if (record->number == 2) out.second = *record;
        if (record->number == 3) out.third = *record;
    }
    return out;
}

Outcome<> decode_message(std::string_view bytes, std::string_view name, json::Object& out, int depth);

Outcome<Value> decode_value(const Field& field, const Record& record, int depth) {
    switch (field.as) {
        case As::text: return Value(record.bytes);
        case As::bytes: return Value(base64_encode(record.bytes));
        case As::number:
        case As::number_or_none: return Value(static_cast<std::int64_t>(record.value));
        case As::flag:
        case As::flag_or_none: return Value(record.value != 0);
        case As::message:
        case As::embedded:
        case As::inlined: {
            json::Object object;
            KN_CHECK(decode_message(record.bytes, field.message, object, depth + 1));
            return Value(std::move(object));
        }
        case As::time: {
            const auto pair = read_pair(record.bytes);
            if (!pair) return malformed();
            if (pair->first.value == 0 && pair->second.value == 0) return Value(nullptr);
            const auto time =
                from_millis(static_cast<std::int64_t>(pair->first.value) * 1000 + static_cast<std::int64_t>(pair->second.value) / 1'000'000);
            return Value(pair->second.value == 0 ? format_rfc3339(time) : format_micro_time(time));
        }
        case As::int_or_text: {
            const auto pair = read_pair(record.bytes);
            if (!pair) return malformed();
            if (pair->first.value == 1) return Value(pair->third.bytes);
            return Value(static_cast<std::int64_t>(pair->second.value));
        }
        default: return Value(nullptr);
    }
}

Outcome<> decode_message(std::string_view bytes, std::string_view name, json::Object& out, int depth) {
    if (depth > 32) return malformed();
    const auto& fields = messages().find(name)->second;
    for (Reader reader(bytes); !reader.done();) {
        const auto record = reader.next();
        if (!record) return malformed();
        const auto field = std::ranges::find(fields, record->number, &Field::number);
        if (field == fields.end()) {
            // An empty value that Go writes for every field that is no pointer says nothing.
            if (record->is_bytes ? record->bytes.empty() : record->value == 0) continue;
            return unsupported_field(name, record->number);
        }
        if (field->as == As::ignored) continue;
        const bool wants_bytes = field->as != As::number && field->as != As::number_or_none && field->as != As::flag && field->as != As::flag_or_none;
        if (wants_bytes != record->is_bytes) return malformed();
        if (field->as == As::text_map || field->as == As::bytes_map || field->as == As::quantity_map) {
            const auto pair = read_pair(record->bytes);
            if (!pair) return malformed();
            auto& map = out[field->name];
            if (!map.is_object()) map.emplace_object();
            Value value = field->as == As::bytes_map ? Value(base64_encode(pair->second.bytes)) : Value(pair->second.bytes);
            if (field->as == As::quantity_map) {
                const auto inner = read_pair(pair->second.bytes);
                if (!inner) return malformed();
                value = inner->first.bytes;
            }
            map.get_object()[pair->first.bytes] = std::move(value);
            continue;
        }
        KN_TRY(auto value, decode_value(*field, *record, depth));
        if (field->repeated) {
            auto& list = out[field->name];
            if (!list.is_array()) list.emplace_array();
            list.get_array().push_back(std::move(value));
            continue;
        }
        if (field->as == As::inlined) {
            for (auto& [key, inner] : value.as_object()) out[key] = std::move(inner);
            continue;
        }
        const bool nothing = (field->as == As::text && record->bytes.empty()) ||
                             ((field->as == As::number_or_none || field->as == As::flag_or_none) && record->value == 0) ||
                             (field->as == As::embedded && value.as_object().empty()) || value.is_null();
        if (!nothing) out[field->name] = std::move(value);
    }
    return {};
}

}  // namespace

Outcome<Value> decode_protobuf(std::string_view body) {
    constexpr std::string_view magic("k8s\0", 4);
    if (!body.starts_with(magic)) return malformed();
    // runtime.Unknown: typeMeta {apiVersion, kind}, raw
    const auto envelope = read_pair(body.substr(magic.size()));
    if (!envelope) return malformed();
    const auto type = read_pair(envelope->first.bytes);
    if (!type) return malformed();
    const auto kind = type->second.bytes;
    if (!messages().contains(kind)) {
        return refuse(415, "UnsupportedMediaType",
                      "this server does not read " + std::string(kind) + " in protobuf; send application/json or application/yaml");
    }
    json::Object out{{"kind", kind}, {"apiVersion", type->first.bytes}};
    KN_CHECK(decode_message(envelope->second.bytes, kind, out, 0));
    return Value(std::move(out));
}

}  // namespace kn::sim::api
