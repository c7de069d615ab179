// Pod Security Standards: the checks of the levels baseline and restricted that a pod spec can break (kubernetes.io/docs/concepts/security/pod-security-standards).
#include <algorithm>
#include <set>

#include "api/access/admission.hpp"

namespace kn::sim::api {
namespace {

using json::at;
using json::string_at;

std::vector<const Value*> all_containers(const Value& spec) {
    std::vector<const Value*> out;
    for (const std::string_view list : {"containers", "initContainers", "ephemeralContainers"}) {
        for (const Value& container : json::array_at(spec, list)) out.push_back(&container);
    }
    return out;
}

/// `container "a" must ...` or `containers "a", "b" must ...`
std::string subject(const std::vector<std::string>& names) {
    std::string out = names.size() == 1 ? "container " : "containers ";
    for (std::size_t i = 0; i < names.size(); ++i) out += (i == 0 ? "\"" : ", \"") + names[i] + "\"";
    return out;
}

template <class Breaks> std::vector<std::string> offenders(const Value& spec, const Breaks& breaks) {
    std::vector<std::string> out;
    for (const auto* container : all_containers(spec)) {
        if (breaks(*container)) out.emplace_back(string_at(*container, "name"));
    }
    return out;
}

void add(std::string& all, const std::string& one) { all += (all.empty() ? "" : ", ") + one; }

const std::set<std::string, std::less<>>& baseline_capabilities() {
    static const std::set<std::string, std::less<>> allowed{"AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",      "MKNOD",
                                                            "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT"};
    return allowed;
}

std::string baseline(const Value& spec) {
    std::string out;
    std::string shared;
    for (const std::string_view field : {"hostNetwork", "hostPID", "hostIPC"}) {
        if (json::bool_at(spec, field).value_or(false)) add(shared, std::string(field) + "=true");
    }
    if (!shared.empty()) add(out, "host namespaces (" + shared + ")");
    std::string paths;
    for (const Value& volume : json::array_at(spec, "volumes")) {
        if (at(volume, "hostPath") != nullptr) add(paths, "\"" + std::string(string_at(volume, "name")) + "\"");
    }
    if (!paths.empty()) add(out, "hostPath volumes (volume " + paths + ")");
    if (const auto names = offenders(spec, [](const Value& c) { return json::bool_at(c, "securityContext", "privileged").value_or(false); });
        !names.empty()) {
        add(out, "privileged (" + subject(names) + " must not set securityContext.privileged=true)");
    }
    const auto ports = offenders(spec, [](const Value& c) {
        return std::ranges::any_of(json::array_at(c, "ports"), [](const Value& p) { return json::int_at(p, "hostPort").value_or(0) != 0; });
    });
    if (!ports.empty()) add(out, "hostPort (" + subject(ports) + " uses hostPort)");
    const auto extra = offenders(spec, [](const Value& c) {
        return std::ranges::any_of(json::array_at(c, "securityContext", "capabilities", "add"),
                                   [](const Value& v) { return !v.is_string() || !baseline_capabilities().contains(json::view(v.get_string())); });
    });
    if (!extra.empty()) add(out, "non-default capabilities (" + subject(extra) + " must not include more in securityContext.capabilities.add)");
    const auto unconfined = offenders(spec, [](const Value& c) { return string_at(c, "securityContext", "seccompProfile", "type") == "Unconfined"; });
    if (!unconfined.empty() || string_at(spec, "securityContext", "seccompProfile", "type") == "Unconfined") {
        add(out, "seccompProfile (pod or " + (unconfined.empty() ? std::string("containers") : subject(unconfined)) +
                     " must not set securityContext.seccompProfile.type to \"Unconfined\")");
    }
    return out;
}

std::string restricted(const Value& spec) {
    std::string out;
    const auto escalate =
        offenders(spec, [](const Value& c) { return json::bool_at(c, "securityContext", "allowPrivilegeEscalation").value_or(true); });
    if (!escalate.empty()) {
        add(out, "allowPrivilegeEscalation != false (" + subject(escalate) + " must set securityContext.allowPrivilegeEscalation=false)");
    }
    const auto capable = offenders(spec, [](const Value& c) {
        const auto& drop = json::array_at(c, "securityContext", "capabilities", "drop");
        const bool drops_all = std::ranges::any_of(drop, [](const Value& v) { return v.is_string() && json::view(v.get_string()) == "ALL"; });
        const auto& more = json::array_at(c, "securityContext", "capabilities", "add");
        return !drops_all ||
               std::ranges::any_of(more, [](const Value& v) { return !v.is_string() || json::view(v.get_string()) != "NET_BIND_SERVICE"; });
    });
    if (!capable.empty()) add(out, "unrestricted capabilities (" + subject(capable) + " must set securityContext.capabilities.drop=[\"ALL\"])");
    std::string volumes;
    static const std::set<std::string, std::less<>> allowed{"configMap", "csi",   "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
                                                            "projected", "secret"};
    for (const Value& volume : json::array_at(spec, "volumes")) {
        for (const auto& [key, source] : volume.as_object()) {
            if (key != "name" && key != "hostPath" && !allowed.contains(std::string_view(key)))
                add(volumes, "\"" + std::string(string_at(volume, "name")) + "\"");
        }
    }
    if (!volumes.empty()) add(out, "restricted volume types (volume " + volumes + " uses restricted volume type)");
    const bool pod_nonroot = json::bool_at(spec, "securityContext", "runAsNonRoot").value_or(false);
    const auto root = offenders(spec, [pod_nonroot](const Value& c) {
        const auto own = json::bool_at(c, "securityContext", "runAsNonRoot");
        return own ? !*own : !pod_nonroot;
    });
    if (!root.empty()) add(out, "runAsNonRoot != true (pod or " + subject(root) + " must set securityContext.runAsNonRoot=true)");
    const auto user_zero = offenders(spec, [](const Value& c) { return json::int_at(c, "securityContext", "runAsUser") == 0; });
    if (!user_zero.empty()) add(out, "runAsUser=0 (" + subject(user_zero) + " must not set runAsUser=0)");
    const auto fine = [](std::string_view type) { return type == "RuntimeDefault" || type == "Localhost"; };
    const bool pod_seccomp = fine(string_at(spec, "securityContext", "seccompProfile", "type"));
    const auto seccomp = offenders(spec, [&](const Value& c) {
        const auto own = string_at(c, "securityContext", "seccompProfile", "type");
        return own.empty() ? !pod_seccomp : !fine(own);
    });
    if (!seccomp.empty()) {
        add(out,
            "seccompProfile (pod or " + subject(seccomp) + " must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")");
    }
    return out;
}

}  // namespace

std::string pod_security_violations(std::string_view level, const Value&, const Value& spec) {
    if (level == "baseline") return baseline(spec);
    if (level != "restricted") return {};
    auto out = baseline(spec);
    if (const auto more = restricted(spec); !more.empty()) add(out, more);
    return out;
}

}  // namespace kn::sim::api
