package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

type stage struct {
	cluster *cluster
	err     error
}

// cluster is also the JSON line that announces it.
type cluster struct {
	Name         string         `json:"cluster"`
	Context      string         `json:"context"`
	Version      string         `json:"version"`
	Server       string         `json:"server"`
	Kubeconfig   string         `json:"kubeconfig"`
	CA           string         `json:"ca"`
	AdminCert    string         `json:"admin_cert"`
	AdminKey     string         `json:"admin_key"`
	AdminToken   string         `json:"admin_token"`
	AliceToken   string         `json:"alice_token"`
	ViewerToken  string         `json:"viewer_token"`
	PKI          string         `json:"pki"`
	Logs         string         `json:"logs"`
	AuditLog     string         `json:"audit_log,omitempty"`
	Etcd         string         `json:"etcd"`
	ReadySeconds float64        `json:"ready_seconds"`
	PIDs         map[string]int `json:"pids"`

	dir    string
	binary string
	port   int
	// of the aggregated API; 0: there is none
	aggregatedPort int
	apiserverUp    bool
}

func (bed *testbed) startCluster(name, etcd, version string) error {
	binary, err := binaryFor(version)
	if err != nil {
		return err
	}
	port, err := reservePort()
	if err != nil {
		return err
	}
	dir := filepath.Join(bed.dir, name)
	pki := filepath.Join(dir, "pki")
	if err := writePKI(pki); err != nil {
		return err
	}
	c := &cluster{
		Name: name, Context: name, Version: version, binary: binary, Server: fmt.Sprintf("https://127.0.0.1:%d", port),
		Kubeconfig: filepath.Join(bed.dir, "kubeconfig"),
		CA:         filepath.Join(pki, "ca.crt"),
		AdminCert:  filepath.Join(pki, "admin.crt"), AdminKey: filepath.Join(pki, "admin.key"),
		AdminToken: newToken(), AliceToken: newToken(), ViewerToken: newToken(),
		PKI: pki, Logs: filepath.Join(bed.dir, "logs"), Etcd: etcd, PIDs: map[string]int{},
		dir: dir, port: port,
	}
	bed.clusters = append(bed.clusters, c)
	tokens := c.AdminToken + ",admin-token,admin,\"system:masters\"\n" +
		c.AliceToken + ",alice,alice\n" +
		c.ViewerToken + ",viewer,viewer\n"
	if err := os.WriteFile(filepath.Join(dir, "tokens.csv"), []byte(tokens), 0o600); err != nil {
		return err
	}
	contexts := []struct{ file, identity string }{
		{c.Kubeconfig, "admin"},
		{c.file("controller-manager.kubeconfig"), "controller-manager"},
		{c.file("scheduler.kubeconfig"), "scheduler"},
	}
	for _, k := range contexts {
		if err := addContext(k.file, name, c.Server, c.CA, c.cert(k.identity), c.key(k.identity)); err != nil {
			return err
		}
	}
	apiserverArgs, err := bed.apiserverFlags(c)
	if err != nil {
		return err
	}
	if err := bed.add(name, binary, "apiserver", apiserverArgs...).start(bed.exits); err != nil {
		return err
	}
	go func() { bed.stages <- stage{c, c.awaitAPIServer()} }()
	return nil
}

func (bed *testbed) apiserverFlags(c *cluster) ([]string, error) {
	flags := []string{
		"--etcd-servers=" + c.Etcd,
		"--etcd-prefix=/" + c.Name,
		"--etcd-compaction-interval=" + bed.compact.String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", // a machine without a default route has no other
		fmt.Sprintf("--secure-port=%d", c.port),
		"--permit-port-sharing", // see reservePort
		"--tls-cert-file=" + c.cert("apiserver"), "--tls-private-key-file=" + c.key("apiserver"),
		"--client-ca-file=" + c.CA,
		"--token-auth-file=" + c.file("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("pki/sa.pub"),
		"--service-account-signing-key-file=" + c.key("sa"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		"--requestheader-client-ca-file=" + c.cert("front-proxy-ca"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.cert("front-proxy-client"), "--proxy-client-key-file=" + c.key("front-proxy-client"),
		"--kubelet-client-certificate=" + c.cert("kubelet-client"), "--kubelet-client-key=" + c.key("kubelet-client"),
		"--kubelet-certificate-authority=" + c.CA,
		"--kubelet-preferred-address-types=InternalIP",
		"--profiling=false",
	}
	if bed.audit {
		c.AuditLog = filepath.Join(bed.dir, "logs", c.Name+"-audit.log")
		policy := c.file("audit-policy.yaml")
		if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
			return nil, err
		}
		flags = append(flags, "--audit-policy-file="+policy, "--audit-log-path="+c.AuditLog)
	}
	return append(flags, bed.apiserverArgs...), nil
}

// Who wrote what, with the body that they sent: the judge that tests can
// believe when they ask whether an effect happened exactly once.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources: [{group: coordination.k8s.io}, {group: "", resources: [events]}, {group: events.k8s.io}]
- level: Request
`

func (bed *testbed) startControllers(c *cluster) error {
	manager := append([]string{
		"--kubeconfig=" + c.file("controller-manager.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + c.key("sa"),
		"--root-ca-file=" + c.CA,
		"--cluster-signing-cert-file=" + c.CA, "--cluster-signing-key-file=" + c.key("ca"),
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	}, bed.managerArgs...)
	if err := bed.add(c.Name, c.binary, "controller-manager", manager...).start(bed.exits); err != nil {
		return err
	}
	scheduler := append([]string{
		"--kubeconfig=" + c.file("scheduler.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--profiling=false",
	}, bed.schedulerArgs...)
	if err := bed.add(c.Name, c.binary, "scheduler", scheduler...).start(bed.exits); err != nil {
		return err
	}
	if bed.aggregated {
		if err := bed.startAggregated(c); err != nil {
			return err
		}
	}
	go func() { bed.stages <- stage{c, c.awaitControllers(bed.stream)} }()
	return nil
}

// issue signs a new certificate under an old or new file name: one that
// expires soon, or the successor of the API server's own ("apiserver"), which
// it reads again by itself.
func (bed *testbed) issue(cluster, name, user, group, lifetime string, answer map[string]any) error {
	life, err := time.ParseDuration(lifetime)
	if err != nil {
		return err
	}
	for _, c := range bed.clusters {
		if c.Name != cluster {
			continue
		}
		ca, err := readIdentity(c.CA, c.key("ca"))
		if err != nil {
			return err
		}
		_, err = newIdentity(request{name: name, user: user, group: group, server: name == "apiserver", life: life}, ca, c.PKI)
		answer["cert"], answer["key"] = c.cert(name), c.key(name)
		return err
	}
	return errors.New("no such cluster")
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) cert(name string) string { return filepath.Join(c.PKI, name+".crt") }

func (c *cluster) key(name string) string { return filepath.Join(c.PKI, name+".key") }

func (c *cluster) client() (kubernetes.Interface, error) {
	return kubernetes.NewForConfig(&rest.Config{
		Host: c.Server, QPS: -1, Timeout: 5 * time.Second,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.CA, CertFile: c.AdminCert, KeyFile: c.AdminKey},
	})
}

// awaitAPIServer polls without end; serve has the timeout.
func (c *cluster) awaitAPIServer() error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return poll(func(ctx context.Context) bool {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	})
}

// awaitControllers gives the viewer its role and waits until pods can be made,
// which needs the service account that the controller-manager makes.
func (c *cluster) awaitControllers(stream bool) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: "testbed-viewer"},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: "viewer"}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(context.Background(), binding, meta.CreateOptions{}); err != nil {
		return err
	}
	if stream {
		if err := c.startStreaming(client); err != nil {
			return err
		}
	}
	if c.aggregatedPort != 0 {
		if err := c.registerAggregated(client); err != nil {
			return err
		}
	}
	return poll(func(ctx context.Context) bool {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", meta.GetOptions{})
		return err == nil
	})
}

func poll(done func(context.Context) bool) error {
	return wait.PollUntilContextCancel(context.Background(), 50*time.Millisecond, true,
		func(ctx context.Context) (bool, error) { return done(ctx), nil })
}

func newToken() string {
	bytes := make([]byte, 16)
	_, _ = rand.Read(bytes)
	return hex.EncodeToString(bytes)
}
